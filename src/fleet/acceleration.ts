/**
 * Which nodes poll fast while an operator watches (design 4, Distributed read). Each accelerated node costs five to
 * twelve polls a minute, so that a fleet-wide query must not make a whole fleet fast. Pure.
 */

import { NodeSet } from './node-set.ts'

/** The share of an environment's nodes that may be accelerated at once, where no operator says otherwise. */
export const DEFAULT_ACCELERATE_SHARE = 0.1
/** So many nodes may be accelerated whatever the share: a query on one rack is small in any fleet. */
export const ALWAYS_ACCELERATED_NODES = 100
/**
 * No more than this, whatever the share: every isolate that holds reads asks the environment's object twice a second,
 * and one object answers about 1,000 requests a second (Durable Objects limits).
 */
export const MOST_ACCELERATED_NODES = 20_000

/** Acceleration lapses this long after the operator's last action. */
export const ACCELERATED_FOR_MS = 10 * 60_000
/** What an agent is told at a time, with every reply: the end comes by not repeating it. Whole seconds (spec 2.4). */
const LEASE_S = 60

/** How many nodes of a fleet of `nodeCount` may be accelerated at once. */
export function accelerationCap(nodeCount: number, share: number): number {
  const wanted = Math.max(ALWAYS_ACCELERATED_NODES, Math.floor(nodeCount * share))
  return share === 0 ? 0 : Math.min(wanted, MOST_ACCELERATED_NODES)
}

/**
 * The union of what is watched, at most `cap` nodes. Small queries come first and whole; of what does not fit the
 * nodes with the lowest hashes are taken, so that the same nodes stay accelerated as sets grow and shrink.
 */
export function acceleratedNodes(watched: readonly NodeSet[], cap: number): NodeSet {
  const chosen = new NodeSet()
  let room = cap
  for (const targets of [...watched].sort((a, b) => a.size - b.size)) {
    const missing = targets.filter((ordinal) => !chosen.has(ordinal))
    const taken = missing.size <= room ? missing : lowestHashes(missing, room)
    chosen.addAll(taken)
    room -= taken.size
  }
  return chosen
}

/** The seconds that an agent is told to poll fast for; 0: it is not. Never beyond the end. */
export function accelerateLeaseS(untilMs: number, nowMs: number): number {
  return Math.max(0, Math.min(LEASE_S, Math.ceil((untilMs - nowMs) / 1_000)))
}

const BUCKETS = 65_536

/** At most `count` members: whole buckets of hashes from the lowest on, then by ordinal. One pass, no sorting. */
function lowestHashes(set: NodeSet, count: number): NodeSet {
  const sizes = new Uint32Array(BUCKETS)
  for (const ordinal of set) sizes[bucketOf(ordinal)] = (sizes[bucketOf(ordinal)] ?? 0) + 1
  let limit = 0
  let whole = 0
  while (limit < BUCKETS && whole + (sizes[limit] ?? 0) <= count) {
    whole += sizes[limit] ?? 0
    limit += 1
  }
  let partial = count - whole
  return set.filter((ordinal) => {
    const bucket = bucketOf(ordinal)
    return bucket < limit || (bucket === limit && partial-- > 0)
  })
}

/** 16 bits of a well mixed 32-bit integer (the finalizer of MurmurHash3). */
function bucketOf(ordinal: number): number {
  let hash = ordinal
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 16
}
