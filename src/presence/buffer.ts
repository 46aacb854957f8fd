/**
 * An isolate's side of presence: sightings and counters are gathered in memory and flushed on the leading edge - the
 * first at once, then every 15 s - by one call for each Presence object. Losing a flush is accepted (design 4).
 */

import type { NodeIdentity } from '../agent/node-key.ts'
import { ORDINALS_PER_OBJECT, presenceStub, type PresenceKind, type Sighting } from './kinds.ts'

const FLUSH_EVERY_MS = 15_000
/** A waiting flush whose request was cut off is given up after this, so that another request may wait instead. */
const WAITER_LOST_AFTER_MS = FLUSH_EVERY_MS + 5_000

export interface PresenceRequest {
  env: Env
  waitUntil(work: Promise<unknown>): void
}

interface Pending {
  sightings: Map<string, Sighting>
  lastFlushMs: number
  waiterSinceMs: number
}

export class PresenceBuffer {
  readonly #pending = new Map<string, Pending>()
  #counters: Record<string, number> = {}

  /** Notes that a node was seen. Never waits, never fails. */
  note(
    request: PresenceRequest,
    identity: Pick<NodeIdentity, 'environmentId' | 'ordinal'>,
    kind: PresenceKind,
    configurationVersion = 0,
  ): void {
    const { environmentId, ordinal } = identity
    const key = `${environmentId}/${Math.floor(ordinal / ORDINALS_PER_OBJECT)}`
    let pending = this.#pending.get(key)
    if (pending === undefined) {
      pending = { sightings: new Map(), lastFlushMs: Number.NEGATIVE_INFINITY, waiterSinceMs: 0 }
      this.#pending.set(key, pending)
    }
    const nowMs = Date.now()
    const atS = Math.floor(nowMs / 1_000)
    pending.sightings.set(`${ordinal}/${kind}`, { ordinal, kind, atS, configurationVersion })
    this.#scheduleFlush(request, environmentId, ordinal, pending, nowMs)
  }

  /** Counts something that is worth knowing but not worth a log line. */
  count(what: string): void {
    this.#counters[what] = (this.#counters[what] ?? 0) + 1
  }

  #scheduleFlush(
    request: PresenceRequest,
    environmentId: string,
    ordinal: number,
    pending: Pending,
    nowMs: number,
  ): void {
    const stub = () => presenceStub(request.env, environmentId, ordinal)
    const dueInMs = pending.lastFlushMs + FLUSH_EVERY_MS - nowMs
    if (dueInMs <= 0) {
      request.waitUntil(this.#flush(stub, pending))
    } else if (nowMs - pending.waiterSinceMs > WAITER_LOST_AFTER_MS) {
      // Waiting costs nothing (Workers bill CPU time), and without it an agent that goes quiet would lose what it did
      // since the last flush.
      pending.waiterSinceMs = nowMs
      request.waitUntil(scheduler.wait(dueInMs).then(() => this.#flush(stub, pending)))
    }
  }

  async #flush(stub: () => ReturnType<typeof presenceStub>, pending: Pending): Promise<void> {
    pending.waiterSinceMs = 0
    if (pending.sightings.size === 0) return
    pending.lastFlushMs = Date.now()
    const sightings = [...pending.sightings.values()]
    pending.sightings.clear()
    const counters = this.#counters
    this.#counters = {}
    try {
      await stub().flush(sightings, counters)
    } catch (error) {
      console.warn(
        JSON.stringify({ event: 'presence-flush-lost', sightings: sightings.length, error: String(error) }),
      )
    }
  }
}
