/** The lines of a query's stream (NDJSON): progress, errors by message, rows, the end. Pure. */

import { sumOfCosts, summaryOfCost } from '../fleet/query-cost.ts'
import { queryCounts, queryStatus, type QueryCounts, type QueryStatus } from '../fleet/query-status.ts'
import type { Bytes } from '../lib/bytes.ts'
import { rfc3339 } from '../lib/time.ts'
import { sumOfCounts } from './answer.ts'
import type { Arrival } from './arrival-store.ts'
import type { WatchedQuery } from './feed-store.ts'
import type { ErrorGroup } from './query-tally.ts'
import { columnsMembers, rowTextOf } from './row-text.ts'
import type { ShardReport } from './shard-watches.ts'
import { writePlace, type ViewerPlace } from './viewer-place.ts'

/** Error messages that are shown; the most frequent ones. */
const MAX_ERROR_LINES = 20

/** A query as all that its shards reported. */
export interface QueryView {
  status: QueryStatus
  counts: QueryCounts
  errors: ErrorGroup[]
  cost: ReturnType<typeof summaryOfCost>
  /** Shards that have said nothing yet, or do not answer now: what they have is missing, or old. */
  missingShards: number[]
  shards: number
}

export function viewOf(
  query: WatchedQuery,
  reports: ReadonlyMap<number, ShardReport>,
  away: ReadonlySet<number>,
  nowMs: number,
): QueryView {
  const all = [...reports.values()]
  const counts = queryCounts(query, sumOfCounts(all.map((report) => report.counts)), nowMs)
  return {
    status: queryStatus(query, counts, nowMs),
    counts,
    errors: sumOfErrors(all.flatMap(({ errors }) => errors)),
    cost: summaryOfCost(sumOfCosts(all.map((report) => report.cost))),
    missingShards: Array.from({ length: query.shards }, (_, shard) => shard).filter(
      (shard) => away.has(shard) || !reports.has(shard),
    ),
    shards: query.shards,
  }
}

/** What a viewer can tell apart: as long as it is the same there is no new progress. */
export function progressKey({ status, counts, missingShards }: QueryView): string {
  return [status, ...Object.values(counts), ...missingShards].join('/')
}

/** One line for each error message with the nodes that said it so far, then the counts and the cost. */
export function progressLines(view: QueryView, place: ViewerPlace): string[] {
  const { status, counts, cost, missingShards, shards, errors } = view
  const missing = missingShards.length === 0 ? {} : { missing: { shards: missingShards, of: shards } }
  return [
    ...errors.slice(0, MAX_ERROR_LINES).map((group) => JSON.stringify({ type: 'error', ...group })),
    JSON.stringify({ type: 'progress', status, counts, cost, ...missing, cursor: writePlace(place) }),
  ]
}

export function endLine({ status, counts }: QueryView, place: ViewerPlace): string {
  return JSON.stringify({ type: 'end', status, counts, cursor: writePlace(place) })
}

/** The last line of a viewer whose operator token is not one any more. */
export const REVOKED_LINE = JSON.stringify({ type: 'end', status: 'revoked' })

/** A row without its closing brace: the last one of a batch gets the cursor. */
export function rowStart(arrival: Arrival, hostname: string | null, row: number, columns: Bytes): string {
  const { nodeId, receivedAtMs } = arrival
  const start = JSON.stringify({ type: 'row', nodeId, hostname, receivedAt: rfc3339(receivedAtMs), row })
  return `${start.slice(0, -1)},${columnsMembers(rowTextOf(columns))}`
}

export function rowLines(starts: readonly string[], place: ViewerPlace): string[] {
  return starts.map((start, index) =>
    index === starts.length - 1 ? `${start},"cursor":"${writePlace(place)}"}` : `${start}}`,
  )
}

function sumOfErrors(groups: readonly ErrorGroup[]): ErrorGroup[] {
  const sums = new Map<string, ErrorGroup>()
  for (const group of groups) {
    const known = sums.get(group.message)
    if (known === undefined) sums.set(group.message, { ...group })
    else known.nodes += group.nodes
  }
  return [...sums.values()].sort((a, b) => b.nodes - a.nodes || (a.message < b.message ? -1 : 1))
}
