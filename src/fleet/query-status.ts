/** What a query is, from what D1 knows and what its shards have. Server time decides about expiry. Pure. */

export type QueryStatus = 'open' | 'complete' | 'stopped' | 'expired'

export interface QueryCounts {
  targeted: number
  /** Failed ones included. */
  answered: number
  failed: number
  pending: number
}

export function queryCounts(targeted: number, answers: { answered: number; failed: number }): QueryCounts {
  return { targeted, ...answers, pending: Math.max(0, targeted - answers.answered) }
}

/** D1 hears of an end a little later than it happens: completeness and expiry are seen here at once. */
export function queryStatus(
  query: { status: QueryStatus; expiresAtMs: number },
  counts: QueryCounts,
  nowMs: number,
): QueryStatus {
  if (query.status === 'stopped') return 'stopped'
  if (counts.pending === 0) return 'complete'
  if (query.status === 'open' && query.expiresAtMs <= nowMs) return 'expired'
  return query.status
}
