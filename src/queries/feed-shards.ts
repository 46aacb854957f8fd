/** A Feed's shards: asks them for what they have of its query, and knows which of them do not answer. */

import { Deadline } from '../lib/deadline.ts'
import { PROGRESS_EVERY_MS, type ShardsKnown } from './feed-steps.ts'
import type { FeedStore, WatchedQuery } from './feed-store.ts'
import { answerShardStub } from './shard-name.ts'
import type { ShardReport } from './shard-watches.ts'

/** Shards report for this long; renewed twice as often, which also heals reports that were lost. */
const WATCH_FOR_MS = 60_000
const SHARDS_WITHIN_MS = 2_000
/** A shard that is away is asked again after this, as long as somebody watches. */
const AWAY_AGAIN_AFTER_MS = 2_000

/** The viewers: whether there are any, and how they are told that something changed. */
interface Viewers {
  isWatched(): boolean
  changed(): void
}

export class FeedShards implements ShardsKnown {
  /** Shards that did not answer the last time. Viewers are told that a part is missing. */
  readonly away = new Set<number>()
  askedAfterEnd = false
  readonly #env: Env
  readonly #store: FeedStore
  readonly #viewers: Viewers
  #renewedAtMs = 0
  #asksAgain = false

  constructor(env: Env, store: FeedStore, viewers: Viewers) {
    this.#env = env
    this.#store = store
    this.#viewers = viewers
  }

  /** Takes a report that a shard sent by itself. */
  take(shard: number, report: ShardReport): void {
    this.#store.putReport(shard, report)
    this.away.delete(shard)
  }

  /** The shards stop reporting now: the next viewer has to ask them again, however soon. */
  forget(): void {
    this.#renewedAtMs = 0
    this.askedAfterEnd = false
    this.away.clear()
  }

  /** Asks every shard for what it has, and for reports from now on. */
  async renew(query: WatchedQuery): Promise<void> {
    const isOver = query.status !== 'open'
    const isRecent = Date.now() - this.#renewedAtMs < PROGRESS_EVERY_MS
    if (isRecent && (!isOver || this.askedAfterEnd)) return
    this.#renewedAtMs = Date.now()
    await this.#ask(
      query,
      Array.from({ length: query.shards }, (_, shard) => shard),
    )
    this.askedAfterEnd = isOver
    this.#askAwayLater(query)
  }

  askAfterEnd(query: WatchedQuery): void {
    void this.renew(query).then(() => this.#viewers.changed())
  }

  /** Asks those that are away until they answer, as long as somebody watches. Not an alarm: the next viewer asks anyway. */
  #askAwayLater(query: WatchedQuery): void {
    if (this.#asksAgain || this.away.size === 0 || !this.#viewers.isWatched()) return
    this.#asksAgain = true
    setTimeout(() => {
      const asked = this.#ask(query, [...this.away])
      void asked.then(() => {
        this.#asksAgain = false
        this.#viewers.changed()
        this.#askAwayLater(query)
      })
    }, AWAY_AGAIN_AFTER_MS)
  }

  async #ask({ environmentId, shards, number }: WatchedQuery, asked: readonly number[]): Promise<void> {
    const untilMs = Date.now() + WATCH_FOR_MS
    const deadline = new Deadline(SHARDS_WITHIN_MS)
    const replies = asked.map(async (shard) => {
      const stub = answerShardStub(this.#env, environmentId, shards, shard)
      try {
        this.take(shard, await deadline.run(stub.watch(number, untilMs)))
      } catch (error) {
        if (!this.away.has(shard))
          console.warn(JSON.stringify({ event: 'feed-shard-away', number, shard, error: String(error) }))
        this.away.add(shard)
      }
    })
    await Promise.all(replies)
  }
}
