/**
 * Answers in the order in which they came, who did not apply, and who watches: the part of an AnswerShard's SQLite that
 * feeds live viewers. Named statements with typed rows.
 */

import type { Bytes } from '../lib/bytes.ts'
import type { AnswerCounts, AnswerRecord } from './answer.ts'

/** What osqueryd says of a query that it did not run because it was running it when it died (spec 5.3). */
export const DENYLISTED_MESSAGE = 'distributed query is denylisted'

/**
 * A step of the shard's schema. `arrival` counts the answers of a query in this shard from 1 on without gaps: a place
 * in it is a cursor that nothing can slip past, as it could past a time.
 */
export const ARRIVAL_SCHEMA_STEP = `
  ALTER TABLE answers ADD COLUMN arrival INTEGER NOT NULL DEFAULT 0;
  UPDATE answers SET arrival = ranked.place FROM (SELECT number AS n, ordinal AS o,
      ROW_NUMBER() OVER (PARTITION BY number ORDER BY received_at_ms, ordinal) AS place FROM answers) AS ranked
    WHERE ranked.n = number AND ranked.o = ordinal;
  CREATE UNIQUE INDEX answers_by_arrival ON answers (number, arrival);
  CREATE INDEX answers_denylisted ON answers (number) WHERE message = '${DENYLISTED_MESSAGE}' AND status <> 0;
  CREATE TABLE not_applicable (number INTEGER NOT NULL, ordinal INTEGER NOT NULL, at_ms INTEGER NOT NULL,
    PRIMARY KEY (number, ordinal)) WITHOUT ROWID;
  CREATE TABLE watches (number INTEGER PRIMARY KEY, until_ms INTEGER NOT NULL);`

/** A later step: failed answers are counted without walking through those that succeeded. */
export const FAILED_SCHEMA_STEP = 'CREATE INDEX answers_failed ON answers (number) WHERE status <> 0;'

/** A later step: how often a node was offered a query, and when last, is known after it is settled, too. */
export const OFFERS_KEPT_SCHEMA_STEP = ['answers', 'not_applicable']
  .map(
    (table) => `ALTER TABLE ${table} ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE ${table} ADD COLUMN last_offered_at_ms INTEGER;`,
  )
  .join('\n')

/** An answer with its place in the order of arrival. */
export interface Arrival extends AnswerRecord {
  arrival: number
}

/** Nodes that were asked and are not among the targets yet. */
const LATE = `SELECT COALESCE((SELECT ${['offers', 'answers', 'not_applicable']
  .map((table) => `(SELECT COUNT(*) FROM ${table} WHERE number = q.number AND ordinal > q.late_from)`)
  .join(' + ')} FROM queries AS q WHERE q.number = ?), 0) AS count`

export class ArrivalStore {
  readonly #sql: SqlStorage

  constructor(sql: SqlStorage) {
    this.#sql = sql
  }

  /**
   * Everything that is counted of a query in this shard, in a time that grows only with what went wrong: arrivals have
   * no gaps, so that the last one is the number of answers.
   */
  counts(number: number): AnswerCounts {
    const answered = this.lastArrival(number)
    const failed = this.#count(
      'SELECT COUNT(*) AS count FROM answers WHERE number = ? AND status <> 0',
      number,
    )
    const denylisted = this.#count(
      `SELECT COUNT(*) AS count FROM answers
       WHERE number = ? AND message = '${DENYLISTED_MESSAGE}' AND status <> 0`,
      number,
    )
    const notApplicable = this.#count('SELECT COUNT(*) AS count FROM not_applicable WHERE number = ?', number)
    const waiting = this.#count('SELECT COUNT(*) AS count FROM offers WHERE number = ?', number)
    const offered = answered + notApplicable + waiting
    return { answered, failed, denylisted, notApplicable, offered, late: this.#count(LATE, number) }
  }

  /** The arrival of the newest answer; 0: there is none. */
  lastArrival(number: number): number {
    const newest = 'SELECT COALESCE(MAX(arrival), 0) AS count FROM answers WHERE number = ?'
    return this.#count(newest, number)
  }

  /** How many nodes will not be asked again. Asked with each write. */
  settledCount(number: number): number {
    const notApplicable = 'SELECT COUNT(*) AS count FROM not_applicable WHERE number = ?'
    return this.lastArrival(number) + this.#count(notApplicable, number)
  }

  /** Answers after an arrival, in order. */
  after(number: number, arrival: number, limit: number): Arrival[] {
    return this.#sql
      .exec<Omit<Arrival, 'truncated'> & { truncated: number }>(
        `SELECT arrival, ordinal, node_id AS nodeId, received_at_ms AS receivedAtMs, status, message, stats,
           row_count AS rowCount, truncated FROM answers
         WHERE number = ?1 AND arrival > ?2 ORDER BY arrival LIMIT ?3`,
        number,
        arrival,
        limit,
      )
      .toArray()
      .map((row) => ({ ...row, truncated: row.truncated === 1 }))
  }

  /** Notes that a query is watched until then. */
  putWatch(number: number, untilMs: number): void {
    this.#sql.exec('INSERT OR REPLACE INTO watches (number, until_ms) VALUES (?, ?)', number, untilMs)
  }

  dropWatch(number: number): void {
    this.#sql.exec('DELETE FROM watches WHERE number = ?', number)
  }

  watches(): { number: number; untilMs: number }[] {
    return this.#sql
      .exec<{ number: number; untilMs: number }>('SELECT number, until_ms AS untilMs FROM watches')
      .toArray()
  }

  /** Notes that a node's discovery query said no. */
  putNotApplicable(number: number, ordinal: number, atMs: number): void {
    this.#sql.exec(
      `INSERT OR IGNORE INTO not_applicable (number, ordinal, at_ms, tries, last_offered_at_ms)
       SELECT ?1, ?2, ?3, COALESCE(offers.tries, 0), offers.last_offered_at_ms
       FROM (SELECT 1) LEFT JOIN offers ON offers.number = ?1 AND offers.ordinal = ?2`,
      number,
      ordinal,
      atMs,
    )
    this.#sql.exec('DELETE FROM offers WHERE number = ? AND ordinal = ?', number, ordinal)
  }

  isNotApplicable(number: number, ordinal: number): boolean {
    const found = 'SELECT 1 AS count FROM not_applicable WHERE number = ? AND ordinal = ?'
    return this.#sql.exec(found, number, ordinal).toArray().length > 0
  }

  dropNotApplicable(number: number, ordinal: number): void {
    this.#sql.exec('DELETE FROM not_applicable WHERE number = ? AND ordinal = ?', number, ordinal)
  }

  notApplicableOrdinals(number: number): number[] {
    return this.#sql
      .exec<{ ordinal: number }>('SELECT ordinal FROM not_applicable WHERE number = ?', number)
      .toArray()
      .map(({ ordinal }) => ordinal)
  }

  #count(statement: string, number: number): number {
    return this.#sql.exec<{ count: number }>(statement, number).one().count
  }
}

/** An answer with its rows, as viewers get it from a shard. */
export interface ArrivalWithRows extends Arrival {
  /** A gzip member of the JSON array of rows; null where there are none. */
  rows: Bytes | null
}
