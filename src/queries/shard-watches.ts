/**
 * The watched queries of one AnswerShard: tells their Feed what there is, at most once a second, and only as long as
 * somebody watches. Level-triggered: each report says everything, so that a lost one heals with the next.
 */

import type { AnswerCounts } from './answer.ts'
import type { ArrivalStore } from './arrival-store.ts'
import { QueryTally, type ErrorGroup } from './query-tally.ts'
import type { CostTally } from '../fleet/query-cost.ts'
import { Deadline } from '../lib/deadline.ts'

/** At most one report of a query in this time (design 4, Distributed write). */
const REPORT_EVERY_MS = 1_000
/** The first report after a quiet second waits this long for answers of the same moment. */
const FIRST_REPORT_AFTER_MS = 20
/** A Feed that does not take a report by then gets a newer one. */
const TELL_WITHIN_MS = 5_000

/** What a shard says of a query. */
export interface ShardReport {
  format: 1
  counts: AnswerCounts
  /** Answers have arrivals from 1 to this. */
  lastArrival: number
  errors: ErrorGroup[]
  cost: CostTally
}

/** Gives a report to the query's Feed; false: nobody watches any more. */
export type ReportSender = (number: number, report: ShardReport) => Promise<boolean>

interface Watch {
  untilMs: number
  tally: QueryTally
  reportedAtMs: number
  timer: ReturnType<typeof setTimeout> | null
}

export class ShardWatches {
  readonly #store: ArrivalStore
  readonly #send: ReportSender
  readonly #watches = new Map<number, Watch>()

  constructor(store: ArrivalStore, send: ReportSender) {
    this.#store = store
    this.#send = send
    for (const { number, untilMs } of store.watches()) this.#watches.set(number, newWatch(untilMs))
  }

  /** Reports changes of this query until then; returns what there is now. */
  async watch(number: number, untilMs: number): Promise<ShardReport> {
    const known = this.#watches.get(number)
    const watch = known ?? newWatch(untilMs)
    watch.untilMs = untilMs
    this.#watches.set(number, watch)
    this.#store.putWatch(number, untilMs)
    return this.#reportOf(number, watch)
  }

  /** Says that a query's offers or answers changed. Costs nothing where nobody watches. */
  changed(number: number): void {
    const watch = this.#watches.get(number)
    if (watch === undefined || watch.timer !== null) return
    const nowMs = Date.now()
    if (watch.untilMs <= nowMs) return this.drop(number)
    const dueInMs = Math.max(FIRST_REPORT_AFTER_MS, watch.reportedAtMs + REPORT_EVERY_MS - nowMs)
    // Not an alarm: a report that an eviction swallows is made up by the Feed, which asks every half minute.
    watch.timer = setTimeout(() => void this.#report(number, watch), dueInMs)
  }

  drop(number: number): void {
    const watch = this.#watches.get(number)
    if (watch?.timer) clearTimeout(watch.timer)
    this.#watches.delete(number)
    this.#store.dropWatch(number)
  }

  async #report(number: number, watch: Watch): Promise<void> {
    watch.timer = null
    watch.reportedAtMs = Date.now()
    try {
      const report = await this.#reportOf(number, watch)
      const isWatched = await new Deadline(TELL_WITHIN_MS).run(this.#send(number, report))
      if (!isWatched && this.#watches.get(number) === watch) this.drop(number)
    } catch (error) {
      console.warn(JSON.stringify({ event: 'feed-not-told', number, error: String(error) }))
      // What comes next says this too, but it may be long until something comes.
      if (this.#watches.get(number) === watch) this.changed(number)
    }
  }

  async #reportOf(number: number, { tally }: Watch): Promise<ShardReport> {
    await tally.catchUp(this.#store, number)
    const { errors, cost } = tally
    const counts = this.#store.counts(number)
    return { format: 1, counts, lastArrival: this.#store.lastArrival(number), errors, cost }
  }
}

function newWatch(untilMs: number): Watch {
  return { untilMs, tally: new QueryTally(), reportedAtMs: 0, timer: null }
}
