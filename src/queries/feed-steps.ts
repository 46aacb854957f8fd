/**
 * What a viewer is shown next: progress at most once a second, rows as far as it takes them, the end when it has all.
 * Viewers are data and steps make the next ones, so that each may be kept anywhere, a hibernated WebSocket too.
 */

import { endLine, progressKey, progressLines, viewOf, type QueryView } from './feed-lines.ts'
import type { FeedRows, RowBatch } from './feed-rows.ts'
import type { FeedStore, WatchedQuery } from './feed-store.ts'
import type { ShardReport } from './shard-watches.ts'
import type { ViewerPlace } from './viewer-place.ts'

/** Progress at most once in this time for each viewer. */
export const PROGRESS_EVERY_MS = 1_000
export const MAX_ROWS_PER_BATCH = 500
/** A shard that did not hand over its rows is asked again after this. */
const SHARD_AGAIN_AFTER_MS = 2_000

/** What a viewer has been shown. */
export interface Viewer {
  place: ViewerPlace
  progressKey: string
  progressAtMs: number
  ended: boolean
  /** SHA-256 of the operator token that it came with. */
  tokenHash: string
}

export interface Step {
  lines: string[]
  rows: number
  viewer: Viewer
}

export function newViewer(place: ViewerPlace, tokenHash: string): Viewer {
  return { place, progressKey: '', progressAtMs: 0, ended: false, tokenHash }
}

/** What is known of the query's shards. */
export interface ShardsKnown {
  /** Those that do not answer; those that hand over no rows are added. */
  readonly away: Set<number>
  /** Whether each was asked since the query was over: before, an answer may be on its way. */
  readonly askedAfterEnd: boolean
  /** Has them asked. */
  askAfterEnd(query: WatchedQuery): void
}

export class FeedSteps {
  readonly #store: FeedStore
  readonly #rows: FeedRows
  readonly #shards: ShardsKnown
  /** Called where there will be more to say in a moment without anything changing. */
  readonly #later: () => void
  readonly #shardAgainAtMs = new Map<number, number>()

  constructor(store: FeedStore, rows: FeedRows, shards: ShardsKnown, later: () => void) {
    this.#store = store
    this.#rows = rows
    this.#shards = shards
    this.#later = later
  }

  /** The next lines for a viewer that takes so many rows; null where there is nothing new. */
  async next(viewer: Viewer, maxRows: number): Promise<Step | null> {
    const query = this.#store.query()
    if (query === null || viewer.ended) return null
    const reports = this.#store.reports()
    const view = viewOf(query, reports, this.#shards.away, Date.now())
    const lines: string[] = []
    const next = { ...viewer }
    const key = progressKey(view)
    const isDue = Date.now() - viewer.progressAtMs >= PROGRESS_EVERY_MS || view.status !== 'open'
    if (key !== viewer.progressKey && isDue) {
      lines.push(...progressLines(view, viewer.place))
      next.progressKey = key
      next.progressAtMs = Date.now()
    } else if (key !== viewer.progressKey) this.#later()
    const rows = await this.#nextRows(query, reports, viewer.place, Math.min(maxRows, MAX_ROWS_PER_BATCH))
    lines.push(...(rows?.lines ?? []))
    next.place = rows?.place ?? viewer.place
    const isOver = isShownToTheEnd(view, reports, next.place)
    // That everybody answered is certain in itself; what D1 says is older than what shards may have to tell.
    if (isOver && query.status !== 'open' && !this.#shards.askedAfterEnd) this.#shards.askAfterEnd(query)
    else if (isOver) {
      lines.push(endLine(view, next.place))
      next.ended = true
    }
    return lines.length === 0 && rows === null ? null : { lines, rows: rows?.lines.length ?? 0, viewer: next }
  }

  /** Rows of the shard of which the viewer has seen least; null where it has seen all or takes none. */
  async #nextRows(
    query: WatchedQuery,
    reports: ReadonlyMap<number, ShardReport>,
    place: ViewerPlace,
    maxRows: number,
  ): Promise<RowBatch | null> {
    if (maxRows <= 0) return null
    const behind = [...reports]
      .map(([shard, { lastArrival }]) => ({ shard, by: lastArrival - (place.arrivals[shard] ?? 0) }))
      .filter(({ by }) => by > 0)
      .sort((a, b) => b.by - a.by)
    for (const { shard } of behind) {
      if ((this.#shardAgainAtMs.get(shard) ?? 0) > Date.now()) continue
      try {
        const rows = await this.#rows.next(query, place, shard, maxRows)
        this.#shards.away.delete(shard)
        return rows
      } catch (error) {
        console.warn(JSON.stringify({ event: 'feed-without-rows', shard, error: String(error) }))
        this.#shardAgainAtMs.set(shard, Date.now() + SHARD_AGAIN_AFTER_MS)
        this.#shards.away.add(shard)
      }
    }
    if (behind.length > 0) this.#later()
    return null
  }
}

/** Over, and everything that its shards have was shown. */
function isShownToTheEnd(
  view: QueryView,
  reports: ReadonlyMap<number, ShardReport>,
  place: ViewerPlace,
): boolean {
  if (view.status === 'open' || view.missingShards.length > 0) return false
  return [...reports].every(([shard, { lastArrival }]) => (place.arrivals[shard] ?? 0) >= lastArrival)
}
