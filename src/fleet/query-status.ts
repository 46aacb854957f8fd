/** What a query is, from what D1 knows and what its shards have. Server time decides about expiry. Pure. */

export type QueryStatus = 'open' | 'complete' | 'stopped' | 'expired'

/** What shards count of a query's nodes; see AnswerCounts. */
interface Counted {
  offered: number
  answered: number
  failed: number
  denylisted: number
  notApplicable: number
  /** Asked, and not among `targeted` yet. */
  late?: number
}

export interface QueryCounts extends Omit<Counted, 'late'> {
  targeted: number
  /** Neither answered nor found not to apply; of an ended query they will not be asked any more. */
  pending: number
  /** Those pending ones that the query expired for. */
  expired: number
}

export interface QueryFacts {
  status: QueryStatus
  targeted: number
  expiresAtMs: number
  /** A number: nodes that enroll later are asked too, so that it is never complete. */
  lateFrom?: number | null
}

export function queryCounts(query: QueryFacts, counted: Counted, nowMs: number): QueryCounts {
  const { offered, answered, failed, denylisted, notApplicable } = counted
  const targeted = query.targeted + (counted.late ?? 0)
  const pending = Math.max(0, targeted - answered - notApplicable)
  const expired = statusOf(query, pending, nowMs) === 'expired' ? pending : 0
  return { targeted, offered, answered, failed, denylisted, notApplicable, expired, pending }
}

/** D1 hears of an end a little later than it happens: completeness and expiry are seen here at once. */
export function queryStatus(query: QueryFacts, counts: { pending: number }, nowMs: number): QueryStatus {
  return statusOf(query, counts.pending, nowMs)
}

function statusOf(query: QueryFacts, pending: number, nowMs: number): QueryStatus {
  if (query.status === 'stopped') return 'stopped'
  if (pending === 0 && (query.lateFrom ?? null) === null) return 'complete'
  if (query.status === 'open' && query.expiresAtMs <= nowMs) return 'expired'
  return query.status
}
