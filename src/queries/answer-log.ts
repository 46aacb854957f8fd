/**
 * Which answers of an AnswerShard are in the archive as log lines: the part of its SQLite that is their outbox. The
 * answers themselves are the outbox's content, so an agent's write costs nothing more but a mark for the first one.
 */

import type { Bytes } from '../lib/bytes.ts'
import { Deadline } from '../lib/deadline.ts'
import { encodeMessage } from '../logs/message.ts'
import {
  ANSWER_MESSAGES_AT_ONCE,
  LOG_ANSWERS_AGAIN_AFTER_MS,
  LOG_ANSWERS_WITHIN_MS,
  MAX_ANSWERS_TO_LOG,
  MAX_ANSWER_BYTES_TO_LOG,
  REPORT_LAST_AFTER_MS,
} from './constants.ts'

/**
 * A step of the shard's schema. `logged` is the arrival (arrival-store.ts) up to which the consumer confirmed that the
 * answers are archived; `sent_at_ms` says when it was last told that there are more.
 */
export const ANSWER_LOG_SCHEMA_STEP = `
  CREATE TABLE answer_log (number INTEGER PRIMARY KEY, logged INTEGER NOT NULL DEFAULT 0,
    pending INTEGER NOT NULL, sent_at_ms INTEGER NOT NULL DEFAULT 0);
  CREATE INDEX answer_log_pending ON answer_log (sent_at_ms) WHERE pending = 1;`

/** How long the log queue may take. */
const TELL_WITHIN_MS = 10_000

/** An answer as it becomes lines; its rows are a gzip member of their JSON array. */
export interface AnswerToLog {
  nodeId: string
  receivedAtMs: number
  status: number
  message: string
  truncated: boolean
  rows: Bytes | null
}

/** What of a query is to become lines now. */
export interface AnswersToLog {
  queryId: string
  /** The arrivals that these are: after the first, up to the second. */
  after: number
  upTo: number
  answers: AnswerToLog[]
}

export class AnswerLog {
  readonly #sql: SqlStorage

  constructor(sql: SqlStorage) {
    this.#sql = sql
  }

  /** Notes that a query has answers to log. True where it had none that wait. */
  note(number: number): boolean {
    if (this.isPending(number)) return false
    const note =
      'INSERT INTO answer_log (number, pending) VALUES (?, 1) ON CONFLICT DO UPDATE SET pending = 1'
    this.#sql.exec(note, number)
    return true
  }

  /** Whether answers of a query wait to be logged. */
  isPending(number: number): boolean {
    const pending = 'SELECT 1 FROM answer_log WHERE number = ? AND pending = 1'
    return this.#sql.exec(pending, number).toArray().length > 0
  }

  /** Queries of which the consumer is to be told: never, or so long ago that its message may be lost. */
  due(nowMs: number): number[] {
    return this.#sql
      .exec<{ number: number }>(
        'SELECT number FROM answer_log WHERE pending = 1 AND sent_at_ms <= ? ORDER BY sent_at_ms LIMIT ?',
        nowMs - LOG_ANSWERS_AGAIN_AFTER_MS,
        ANSWER_MESSAGES_AT_ONCE,
      )
      .toArray()
      .map(({ number }) => number)
  }

  markSent(numbers: readonly number[], nowMs: number): void {
    const mark = 'UPDATE answer_log SET sent_at_ms = ? WHERE number IN (SELECT value FROM json_each(?))'
    this.#sql.exec(mark, nowMs, JSON.stringify(numbers))
  }

  /** Tells the log queue's consumer of answers that are not in the archive yet. Throws when the queue does not take it. */
  async tell(queue: Queue, place: { environmentId: string; shards: number; shard: number }): Promise<void> {
    const nowMs = Date.now()
    const numbers = this.due(nowMs)
    if (numbers.length === 0) return
    const messages = numbers.map((number): MessageSendRequest => {
      const message = { kind: 'answers', ...place, number } as const
      return { body: encodeMessage(message), contentType: 'bytes' }
    })
    await new Deadline(TELL_WITHIN_MS).run(queue.sendBatch(messages))
    this.markSent(numbers, nowMs)
  }

  /** When the next one is due; null: nothing waits. */
  nextDueMs(): number | null {
    const [row] = this.#sql
      .exec<{ sent: number | null }>('SELECT MIN(sent_at_ms) AS sent FROM answer_log WHERE pending = 1')
      .toArray()
    const sentAtMs = row?.sent ?? null
    return sentAtMs === null ? null : sentAtMs + LOG_ANSWERS_AGAIN_AFTER_MS
  }

  /** The next answers of a query that are to become lines, of those that `read` gives; null: there are none. */
  async next(
    number: number,
    queryId: string | null,
    read: (after: number, limit: number, maxBytes: number) => Promise<(AnswerToLog & { arrival: number })[]>,
  ): Promise<AnswersToLog | null> {
    const after = this.loggedUpTo(number)
    const answers = await read(after, MAX_ANSWERS_TO_LOG, MAX_ANSWER_BYTES_TO_LOG)
    const upTo = answers.at(-1)?.arrival
    if (queryId !== null && upTo !== undefined) return { queryId, after, upTo, answers }
    this.confirm(number, after, after)
    return null
  }

  /** The arrival up to which a query is logged. */
  loggedUpTo(number: number): number {
    const [row] = this.#sql
      .exec<{ logged: number }>('SELECT logged FROM answer_log WHERE number = ?', number)
      .toArray()
    return row?.logged ?? 0
  }

  /**
   * The consumer archived the answers up to this arrival; `last` is the newest there is. Returns how soon it is to be told
   * of those that are left; null: there are none.
   */
  confirm(number: number, upTo: number, last: number): number | null {
    this.#sql.exec(
      `UPDATE answer_log SET logged = MAX(logged, ?2), sent_at_ms = 0, pending = MAX(logged, ?2) < ?3
       WHERE number = ?1`,
      number,
      upTo,
      last,
    )
    if (last <= upTo) return null
    // Those that trickle in wait for others; a backlog goes on at once.
    return last - upTo >= MAX_ANSWERS_TO_LOG ? REPORT_LAST_AFTER_MS : LOG_ANSWERS_WITHIN_MS
  }

  erase(number: number): void {
    this.#sql.exec('DELETE FROM answer_log WHERE number = ?', number)
  }
}
