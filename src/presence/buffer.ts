/**
 * An isolate's side of presence: sightings and counters are gathered in memory and flushed on the leading edge - the
 * first at once, then every 15 s - by one call for each Presence object. Losing a flush is accepted (design 4).
 */

import type { NodeIdentity } from '../agent/node-key.ts'
import { msSince } from '../lib/time.ts'
import {
  ORDINALS_PER_OBJECT,
  PRESENCE_KINDS,
  presenceStub,
  type PresenceKind,
  type Sighting,
} from './kinds.ts'

const FLUSH_EVERY_MS = 15_000
/** A waiting flush whose request was cut off is given up after this, so that another request may wait instead. */
const WAITER_LOST_AFTER_MS = FLUSH_EVERY_MS + 5_000

/** Names of the counters of requests, made once. */
const REQUESTS_OF = Object.fromEntries(PRESENCE_KINDS.map((kind) => [kind, `request-${kind}`])) as Record<
  PresenceKind,
  string
>

export interface PresenceRequest {
  env: Env
  waitUntil(work: Promise<unknown>): void
}

interface Pending {
  /** By ordinal and kind, as one number. */
  sightings: Map<number, Sighting>
  counters: Record<string, number>
  lastFlushMs: number
  waiterSinceMs: number
}

/** Of an identity, what says where its presence is kept. */
export type NodePlace = Pick<NodeIdentity, 'environmentId' | 'ordinal'>

/** What is worth knowing of what agents send, and not worth a log line. */
export type Oddity = 'two-valid-keys' | 'answer-foreign' | 'answer-unknown' | 'answer-duplicate'

export class PresenceBuffer {
  readonly #pending = new Map<string, Pending>()

  /** Notes that a node was seen, and counts the request. Never waits, never fails. */
  note(request: PresenceRequest, node: NodePlace, kind: PresenceKind, configurationVersion = 0): void {
    const pending = this.#pendingOf(node)
    const nowMs = Date.now()
    const { ordinal } = node
    const key = ordinal * PRESENCE_KINDS.length + PRESENCE_KINDS.indexOf(kind)
    pending.sightings.set(key, { ordinal, kind, atS: Math.floor(nowMs / 1_000), configurationVersion })
    count(pending, REQUESTS_OF[kind], 1)
    this.#scheduleFlush(request, node, pending, nowMs)
  }

  /** Counts something odd that a node sent; it goes out with the next sighting of its neighbourhood. */
  count(node: NodePlace, what: Oddity, times = 1): void {
    if (times > 0) count(this.#pendingOf(node), what, times)
  }

  #pendingOf({ environmentId, ordinal }: NodePlace): Pending {
    const key = `${environmentId}/${Math.floor(ordinal / ORDINALS_PER_OBJECT)}`
    let pending = this.#pending.get(key)
    if (pending === undefined) {
      const lastFlushMs = Number.NEGATIVE_INFINITY
      pending = { sightings: new Map(), counters: {}, lastFlushMs, waiterSinceMs: 0 }
      this.#pending.set(key, pending)
    }
    return pending
  }

  #scheduleFlush(request: PresenceRequest, node: NodePlace, pending: Pending, nowMs: number): void {
    const dueInMs = FLUSH_EVERY_MS - msSince(pending.lastFlushMs, nowMs)
    if (dueInMs > 0 && msSince(pending.waiterSinceMs, nowMs) <= WAITER_LOST_AFTER_MS) return
    const stub = () => presenceStub(request.env, node.environmentId, node.ordinal)
    if (dueInMs <= 0) {
      request.waitUntil(this.#flush(stub, pending))
    } else {
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
    const { counters } = pending
    pending.counters = {}
    try {
      await stub().flush(sightings, counters)
    } catch (error) {
      const detail = { sightings: sightings.length, error: String(error) }
      console.warn(JSON.stringify({ event: 'presence-flush-lost', ...detail }))
    }
  }
}

function count({ counters }: Pending, what: string, times: number): void {
  counters[what] = (counters[what] ?? 0) + times
}
