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
  type RideAlong,
  type Sighting,
} from './kinds.ts'
import { osqueryVersionOf } from './user-agent.ts'

const FLUSH_EVERY_MS = 15_000
/** A waiting flush whose request was cut off is given up after this, so that another request may wait instead. */
const WAITER_LOST_AFTER_MS = FLUSH_EVERY_MS + 5_000

/**
 * An agent's headers are looked at when it was not noted for so long, and said again when they were not said for so long:
 * whatever was lost on the way, or was so again before another isolate noticed, is known then.
 */
const LOOK_EVERY_MS = 30_000
const SAY_EVERY_MS = 10 * 60_000
/** Agents that an isolate remembers, at some 200 bytes each; beyond, all of them are new to it. */
const MAX_KNOWN_AGENTS = 20_000

/** osqueryd's User-Agent is some 30 characters, an address 45 at most. */
const MAX_HEADER_CHARACTERS = 128

/** Names of the counters of requests, made once. */
const REQUESTS_OF = Object.fromEntries(PRESENCE_KINDS.map((kind) => [kind, `request-${kind}`])) as Record<
  PresenceKind,
  string
>

export interface PresenceRequest {
  env: Env
  request: { headers: Pick<Headers, 'get'> }
  waitUntil(work: Promise<unknown>): void
}

interface Pending {
  /** By ordinal and kind, as one number. */
  sightings: Map<number, Sighting>
  counters: Record<string, number>
  /** What goes with the next flush, oldest first. */
  rides: RideAlong[]
  /** By ordinal: what was last said of the agent. */
  agents: Map<number, KnownAgent>
  lastFlushMs: number
  waiterSinceMs: number
}

interface KnownAgent {
  userAgent: string
  ip: string
  keyIssuedAtS: number
  lookedAtMs: number
  saidAtMs: number
}

/** Of an identity, what says where its presence is kept, and which of its keys it came with. */
export type NodePlace = Pick<NodeIdentity, 'environmentId' | 'ordinal'> &
  Partial<Pick<NodeIdentity, 'issuedAtS'>>

/** What is worth knowing of what agents send, and not worth a log line. */
export type Oddity =
  | 'two-valid-keys'
  | 'answer-foreign'
  | 'answer-unknown'
  | 'answer-duplicate'
  | 'enroll-damped'

export class PresenceBuffer {
  readonly #pending = new Map<string, Pending>()
  /** Of all objects' ranges. */
  #knownAgents = 0

  /** Notes that a node was seen, and counts the request. Never waits, never fails. */
  note(request: PresenceRequest, node: NodePlace, kind: PresenceKind, configurationVersion = 0): void {
    const pending = this.#pendingOf(node)
    const nowMs = Date.now()
    const { ordinal } = node
    const key = ordinal * PRESENCE_KINDS.length + PRESENCE_KINDS.indexOf(kind)
    pending.sightings.set(key, { ordinal, kind, atS: Math.floor(nowMs / 1_000), configurationVersion })
    count(pending, REQUESTS_OF[kind], 1)
    if (look(pending, request, node, nowMs)) this.#countAgent()
    this.#scheduleFlush(request, node, pending, nowMs)
  }

  /** Counts something odd that a node sent; it goes out with the next sighting of its neighbourhood. */
  count(node: NodePlace, what: Oddity, times = 1): void {
    if (times > 0) count(this.#pendingOf(node), what, times)
  }

  #countAgent(): void {
    this.#knownAgents += 1
    if (this.#knownAgents <= MAX_KNOWN_AGENTS) return
    this.#knownAgents = 0
    for (const { agents } of this.#pending.values()) agents.clear()
  }

  #pendingOf({ environmentId, ordinal }: NodePlace): Pending {
    const key = `${environmentId}/${Math.floor(ordinal / ORDINALS_PER_OBJECT)}`
    let pending = this.#pending.get(key)
    if (pending === undefined) {
      const lastFlushMs = Number.NEGATIVE_INFINITY
      pending = {
        sightings: new Map(),
        counters: {},
        rides: [],
        agents: new Map(),
        lastFlushMs,
        waiterSinceMs: 0,
      }
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
    const { counters, rides } = pending
    pending.counters = {}
    pending.rides = []
    try {
      await stub().flush(sightings, counters, rides)
    } catch (error) {
      // So that they are said again with the next sighting.
      for (const { ordinal } of rides) pending.agents.delete(ordinal)
      const detail = { sightings: sightings.length, error: String(error) }
      console.warn(JSON.stringify({ event: 'presence-flush-lost', ...detail }))
    }
  }
}

/**
 * Notes what is to ride along, where it is another than was said. For most requests that is one look into a map. True:
 * an agent more is remembered.
 */
function look(pending: Pending, { request }: PresenceRequest, node: NodePlace, nowMs: number): boolean {
  const { ordinal } = node
  const known = pending.agents.get(ordinal)
  const keyIssuedAtS = node.issuedAtS ?? known?.keyIssuedAtS ?? 0
  const isSameKey = known?.keyIssuedAtS === keyIssuedAtS
  if (known !== undefined && isSameKey && msSince(known.lookedAtMs, nowMs) < LOOK_EVERY_MS) return false
  const userAgent = shortHeader(request, 'user-agent')
  // Cloudflare sets it on what comes from outside, whatever was there, and a service binding (the guard) passes it on.
  const ip = shortHeader(request, 'cf-connecting-ip')
  const isSame = known !== undefined && isSameKey && known.userAgent === userAgent && known.ip === ip
  if (isSame && msSince(known.saidAtMs, nowMs) < SAY_EVERY_MS) {
    known.lookedAtMs = nowMs
    return false
  }
  pending.agents.set(ordinal, { userAgent, ip, keyIssuedAtS, lookedAtMs: nowMs, saidAtMs: nowMs })
  const atS = Math.floor(nowMs / 1_000)
  pending.rides.push({ ordinal, atS, osqueryVersion: osqueryVersionOf(userAgent), ip, keyIssuedAtS })
  return known === undefined
}

/** Longer ones are nobody's, and would be remembered for thousands of nodes. */
function shortHeader(request: PresenceRequest['request'], name: string): string {
  const text = request.headers.get(name) ?? ''
  return text.length > MAX_HEADER_CHARACTERS ? '' : text
}

function count({ counters }: Pending, what: string, times: number): void {
  counters[what] = (counters[what] ?? 0) + times
}
