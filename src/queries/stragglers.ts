/** Finds the nodes of a query that have not answered, or not well: its targets less what its shards have settled. */

import type { ControlDb } from '../db/control.ts'
import { deletedOrdinals, nodesByOrdinal, queryTargetsFrom, type TargetedNode } from '../db/query-targets.ts'
import { NodeSet } from '../fleet/node-set.ts'
import { stragglerReason, type Standing, type StragglerReason } from '../fleet/straggler.ts'
import { Deadline } from '../lib/deadline.ts'
import { lastSeenOf, lastSignMs } from '../presence/read.ts'
import { shardOf } from '../snapshot/remaining.ts'
import { MAX_OFFERS } from './constants.ts'
import { answerShardStub } from './shard-name.ts'
import type { SettledKind } from './standing-store.ts'

/** How long the objects of one step are waited for. */
const OBJECTS_WITHIN_MS = 5_000
/** Two reads closer than this may be one; presence is flushed every 15 s and exact to the second. */
const SAME_READ_WITHIN_MS = 5_000
/** Nodes that are looked at together. */
const NODES_AT_ONCE = 500
/** One page looks at no more than so many: it may be short, and have a next one. */
const MAX_LOOKS = 20
/** Chunks of 32,768 ordinals that are read together. */
const CHUNKS_AT_ONCE = 4

export interface WatchedPlace {
  environmentId: string
  number: number
  shards: number
}

export interface Straggler {
  node: TargetedNode
  reason: StragglerReason
  standing: Standing
  lastSeenAtMs: number
}

/** One page by ordinal, after an ordinal; only with these reasons where some are given. */
export async function pageStragglers(
  env: Env,
  db: ControlDb,
  query: WatchedPlace,
  options: {
    afterOrdinal: number
    limit: number
    reasons: ReadonlySet<StragglerReason> | null
    onlineSinceMs: number
  },
): Promise<{ items: Straggler[]; nextOrdinal: number | null }> {
  const items: Straggler[] = []
  let from = options.afterOrdinal + 1
  for (let look = 0; look < MAX_LOOKS; look += 1) {
    const { candidates, next } = await candidatesFrom(env, db, query, from)
    for (const group of groupsOf(candidates, NODES_AT_ONCE)) {
      for (const straggler of await judged(env, db, query, group, options.onlineSinceMs)) {
        if (options.reasons !== null && !options.reasons.has(straggler.reason)) continue
        items.push(straggler)
        if (items.length === options.limit) return { items, nextOrdinal: straggler.node.ordinal }
      }
    }
    if (next === null) return { items, nextOrdinal: null }
    from = next
  }
  return { items, nextOrdinal: from - 1 }
}

/** The nodes of a query that did not answer, or failed, and are still there: for asking them again. */
export async function nodesToAskAgain(
  env: Env,
  db: ControlDb,
  query: WatchedPlace,
  only: 'unanswered' | 'failed',
): Promise<NodeSet> {
  const found = new NodeSet()
  let from: number | null = 0
  while (from !== null) {
    const range: TargetRange = await targetsFrom(db, query, from)
    const chosen =
      only === 'failed'
        ? await settledIn(env, query, 'failed', range)
        : await without(env, query, range.targets, ['answered', 'not-applicable'], range)
    for (const ordinal of await deletedOrdinals(db, query.environmentId, range)) chosen.delete(ordinal)
    found.addAll(chosen)
    from = range.next
  }
  return found
}

interface TargetRange {
  targets: NodeSet
  first: number
  last: number
  next: number | null
}

async function targetsFrom(db: ControlDb, query: WatchedPlace, from: number): Promise<TargetRange> {
  const { targets, lastOrdinal, more } = await queryTargetsFrom(db, query, from, CHUNKS_AT_ONCE)
  return { targets, first: from, last: lastOrdinal, next: more ? lastOrdinal + 1 : null }
}

/** Targets from an ordinal on that did not answer well, and where the next ones begin. */
async function candidatesFrom(env: Env, db: ControlDb, query: WatchedPlace, from: number) {
  const range = await targetsFrom(db, query, from)
  const candidates = await without(env, query, range.targets, ['fine'], range)
  return { candidates, next: range.next }
}

async function without(
  env: Env,
  query: WatchedPlace,
  targets: NodeSet,
  kinds: readonly SettledKind[],
  range: TargetRange,
): Promise<NodeSet> {
  const settled = await Promise.all(kinds.map((kind) => settledIn(env, query, kind, range)))
  return targets.filter((ordinal) => !settled.some((set) => set.has(ordinal)))
}

async function settledIn(
  env: Env,
  { environmentId, shards, number }: WatchedPlace,
  kind: SettledKind,
  { first, last }: TargetRange,
): Promise<NodeSet> {
  const asked = Array.from({ length: shards }, (_, shard) =>
    answerShardStub(env, environmentId, shards, shard).settled(number, kind, { first, last }),
  )
  const all = new NodeSet()
  for (const bytes of await new Deadline(OBJECTS_WITHIN_MS).run(Promise.all(asked)))
    all.addAll(NodeSet.fromBytes(bytes))
  return all
}

function* groupsOf(ordinals: Iterable<number>, size: number): Generator<number[]> {
  let group: number[] = []
  for (const ordinal of ordinals) {
    group.push(ordinal)
    if (group.length < size) continue
    yield group
    group = []
  }
  if (group.length > 0) yield group
}

async function judged(
  env: Env,
  db: ControlDb,
  query: WatchedPlace,
  ordinals: readonly number[],
  onlineSinceMs: number,
): Promise<Straggler[]> {
  const deadline = new Deadline(OBJECTS_WITHIN_MS)
  const [standings, seen, nodes] = await Promise.all([
    deadline.run(standingsOf(env, query, ordinals)),
    deadline.run(lastSeenOf(env, query.environmentId, ordinals)),
    nodesByOrdinal(db, query.environmentId, ordinals),
  ])
  return standings.flatMap((standing) => {
    const node = nodes.get(standing.ordinal)
    if (node === undefined) return []
    const sightings = seen.get(standing.ordinal)
    // Presence is gathered for some seconds; an offer is a sign of life that the shard saw itself.
    const lastSignAtMs = lastSignMs(sightings, node.enrolledAtMs, Date.now())
    const lastSeenAtMs = Math.max(lastSignAtMs, standing.lastOfferedAtMs ?? 0)
    const lastReadAtMs = (sightings?.atS.read ?? 0) * 1_000
    const facts = { deleted: node.deletedAtMs !== null, lastSeenAtMs, lastReadAtMs }
    const policy = { onlineSinceMs, maxOffers: MAX_OFFERS, sameReadWithinMs: SAME_READ_WITHIN_MS }
    const reason = stragglerReason(standing, facts, policy)
    return reason === null ? [] : [{ node, reason, standing, lastSeenAtMs }]
  })
}

/** In the order of ordinals. */
async function standingsOf(
  env: Env,
  { environmentId, shards, number }: WatchedPlace,
  ordinals: readonly number[],
): Promise<Standing[]> {
  const byShard = Map.groupBy(ordinals, (ordinal) => shardOf(ordinal, shards))
  const asked = [...byShard].map(([shard, group]) =>
    answerShardStub(env, environmentId, shards, shard).standings(number, group),
  )
  return (await Promise.all(asked)).flat().sort((a, b) => a.ordinal - b.ordinal)
}
