/** Which of the open queries a shard hands a node now: unanswered, due, and such that one bad one harms no other. */

import { NodeSet } from '../fleet/node-set.ts'
import { decideOffer, type OfferPolicy } from '../fleet/offer.ts'
import { utf8 } from '../lib/bytes.ts'
import type { ArrivalStore } from './arrival-store.ts'
import * as limits from './constants.ts'
import type { ShardStore } from './shard-store.ts'

const OFFER_POLICY: OfferPolicy = {
  againAfterMs: limits.OFFER_AGAIN_AFTER_MS,
  sameWithinMs: limits.SAME_OFFER_WITHIN_MS,
  maxOffers: limits.MAX_OFFERS,
}

/** A query as a node is handed it. */
export interface OfferedQuery {
  number: number
  sql: string
  /** Runs only where this gives a row; null: everywhere. */
  discovery: string | null
}

interface Candidate extends OfferedQuery {
  isNew: boolean
  counts: boolean
}

/** The bytes of a query's texts as JSON, which may be several times as long as they are. */
export function offeredBytes({ sql, discovery }: Pick<OfferedQuery, 'sql' | 'discovery'>): number {
  return utf8(JSON.stringify([sql, discovery])).length
}

/** Decides, and notes each offer as a try. What does not fit into the bytes is left for the next time. */
export function offerTo(
  ordinal: number,
  open: readonly number[],
  stores: { queries: ShardStore; arrivals: ArrivalStore },
  nowMs: number,
  maxBytes: number = limits.MAX_OFFERED_SQL_BYTES,
): OfferedQuery[] {
  const chosen: Candidate[] = []
  let bytes = 0
  for (const candidate of harmless(candidatesFor(ordinal, open, stores, nowMs))) {
    bytes += offeredBytes(candidate)
    // One goes always, or a long one would never; where others went before, in another shard's share, it can wait.
    const mayWait = chosen.length > 0 || maxBytes < limits.MAX_OFFERED_SQL_BYTES
    if (mayWait && bytes > maxBytes) break
    if (candidate.counts) stores.queries.noteOffer(candidate.number, ordinal, nowMs)
    chosen.push(candidate)
  }
  return chosen.map(({ number, sql, discovery }) => ({ number, sql, discovery }))
}

/** Those of these queries that the node has settled, and that no report is to come of: the edge should know. */
export function settledAmong(
  ordinal: number,
  open: readonly number[],
  { queries, arrivals }: { queries: ShardStore; arrivals: ArrivalStore },
): number[] {
  return open.filter((number) => {
    const isSettled = queries.hasAnswer(number, ordinal) || arrivals.isNotApplicable(number, ordinal)
    return isSettled && queries.query(number)?.changed === false
  })
}

function candidatesFor(
  ordinal: number,
  open: readonly number[],
  { queries, arrivals }: { queries: ShardStore; arrivals: ArrivalStore },
  nowMs: number,
): Candidate[] {
  return open.flatMap((number) => {
    const query = queries.query(number)
    if (query === null || query.expiresAtMs <= nowMs || queries.hasAnswer(number, ordinal)) return []
    if (arrivals.isNotApplicable(number, ordinal)) return []
    const isLate = query.lateFrom !== null && ordinal > query.lateFrom
    if (!isLate && !NodeSet.fromBytes(query.targets).has(ordinal)) return []
    const before = queries.offer(number, ordinal)
    const decision = decideOffer(before, OFFER_POLICY, nowMs)
    if (decision === 'wait' || decision === 'given-up') return []
    const isNew = before === null || (before.tries === 1 && decision === 'same')
    const { sql, discovery = null } = query
    return [{ number, sql, discovery, isNew, counts: decision !== 'same' }]
  })
}

/**
 * A discovery query with an error, or with a table that this platform has not, makes the agent drop the whole reply
 * (spec 5.2). One that was offered before and brought nothing may be such: it is handed out alone, after the others.
 */
function harmless(candidates: readonly Candidate[]): readonly Candidate[] {
  const others = candidates.filter(({ discovery, isNew }) => discovery === null || isNew)
  return others.length > 0 ? others : candidates.slice(0, 1)
}
