/** Tells the environment which nodes of an AnswerShard a query still waits for, so that the others are left alone. */

import { NodeSet } from '../fleet/node-set.ts'
import type { Bytes } from '../lib/bytes.ts'
import { Deadline } from '../lib/deadline.ts'
import type { ArrivalStore } from './arrival-store.ts'
import { REPORT_EVERY_MS, REPORT_LAST_AFTER_MS } from './constants.ts'
import type { ShardQuery, ShardStore } from './shard-store.ts'

/** An environment that hangs must not keep the shard's alarm, and with it all that is to follow. */
const TOLD_WITHIN_MS = 10_000

/** Gives the nodes that remain of these queries to the environment. */
export type RemainingSender = (reports: { number: number; bits: Bytes }[]) => Promise<void>

export class RemainingReports {
  readonly #queries: ShardStore
  readonly #arrivals: ArrivalStore
  readonly #send: RemainingSender

  constructor(queries: ShardStore, arrivals: ArrivalStore, send: RemainingSender) {
    this.#queries = queries
    this.#arrivals = arrivals
    this.#send = send
  }

  /** How soon a report is due after an answer: at once where it was the last one, else now and then. */
  dueInMs(query: ShardQuery, nowMs: number): number {
    const targets = NodeSet.fromBytes(query.targets).size
    if (this.#arrivals.settledCount(query.number) >= targets) return REPORT_LAST_AFTER_MS
    if (query.kind === 'carve') return REPORT_LAST_AFTER_MS
    return Math.max(REPORT_LAST_AFTER_MS, query.reportedAtMs + REPORT_EVERY_MS - nowMs)
  }

  /** Reports what changed. Throws when the environment does not take it; it is reported again then. */
  async report(): Promise<void> {
    const nowMs = Date.now()
    const changed = this.#queries.changedNumbers()
    const reports = changed.flatMap((number) => {
      const query = this.#queries.query(number)
      return query === null ? [] : [{ number, bits: this.#remaining(query).toBytes() }]
    })
    if (reports.length === 0) return
    // Marked first: an answer that comes while the report is under way marks its query again.
    for (const number of changed) this.#queries.markReported(number, nowMs)
    try {
      await new Deadline(TOLD_WITHIN_MS).run(this.#send(reports))
    } catch (error) {
      for (const number of changed) this.#queries.markChanged(number)
      throw error
    }
  }

  #remaining(query: ShardQuery): NodeSet {
    const remaining = NodeSet.fromBytes(query.targets)
    for (const ordinal of this.#queries.answeredOrdinals(query.number)) remaining.delete(ordinal)
    for (const ordinal of this.#arrivals.notApplicableOrdinals(query.number)) remaining.delete(ordinal)
    return remaining
  }
}
