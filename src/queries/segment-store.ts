/**
 * Which rows of an AnswerShard's answers lie in R2: the part of its SQLite that says where. Named statements with typed
 * rows. A segment holds the rows of answers that came one after the other; the answers themselves stay in SQLite.
 */

import { concatBytes, type Bytes } from '../lib/bytes.ts'
import { ANSWER_CHUNK_BYTES } from './constants.ts'

/** How a segment's object is made: the answers' gzip members, in the order of their arrival. */
const SEGMENT_FORMAT = 1

/**
 * A step of the shard's schema. Of a closed query, `move_at_ms` says when rows are to be looked for that are to move.
 * `ends` has for each arrival from `first` to `last` where its rows end in the object, as 32 bits, the lowest first; a
 * segment is noted before its object is put, and `moved` once the object is there. `doomed_objects` are to be deleted at
 * `due_ms`, and for the last time after `until_ms`.
 */
export const SEGMENT_SCHEMA_STEP = `
  ALTER TABLE queries ADD COLUMN closed INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE queries ADD COLUMN move_at_ms INTEGER;
  CREATE INDEX queries_to_move ON queries (move_at_ms) WHERE move_at_ms IS NOT NULL;
  CREATE INDEX queries_changed ON queries (number) WHERE changed = 1;
  CREATE TABLE segments (number INTEGER NOT NULL, last INTEGER NOT NULL, first INTEGER NOT NULL, key TEXT NOT NULL,
    format INTEGER NOT NULL, ends BLOB NOT NULL, moved INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (number, last)) WITHOUT ROWID;
  CREATE TABLE doomed_objects (key TEXT PRIMARY KEY, due_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL) WITHOUT ROWID;
  CREATE INDEX doomed_objects_due ON doomed_objects (due_ms);
  CREATE TABLE erasing (number INTEGER PRIMARY KEY);`

/** Rows of answers that are to become one object. */
export interface PackedRows {
  /** The arrivals that it has: from the first to the last. */
  first: number
  last: number
  /** Where each one's rows end; an answer without rows ends where it begins. */
  ends: Uint32Array<ArrayBuffer>
  bytes: Bytes
}

export interface Segment {
  first: number
  last: number
  /** Of the object in the archive bucket; empty where no answer of it has rows. */
  key: string
  ends: Uint32Array<ArrayBuffer>
}

interface SegmentRow extends Record<string, SqlStorageValue> {
  first: number
  last: number
  key: string
  format: number
  ends: ArrayBuffer
}

const COLUMNS = 'first, last, key, format, ends'

export class SegmentStore {
  readonly #storage: DurableObjectStorage
  readonly #sql: SqlStorage

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage
    this.#sql = storage.sql
  }

  /** Notes that these queries are closed; their rows are to move. Unknown ones have no answers here. */
  close(numbers: readonly number[], nowMs: number): void {
    const close = `UPDATE queries SET closed = 1, move_at_ms = ?1
      WHERE closed = 0 AND number IN (SELECT value FROM json_each(?2))`
    this.#sql.exec(close, nowMs, JSON.stringify(numbers))
  }

  /** An answer came to a closed query. */
  moveLater(number: number, atMs: number): void {
    this.#sql.exec('UPDATE queries SET move_at_ms = COALESCE(move_at_ms, ?) WHERE number = ?', atMs, number)
  }

  /** Closed queries whose rows are to move now. */
  dueNumbers(nowMs: number, limit: number): number[] {
    const due = 'SELECT number FROM queries WHERE move_at_ms <= ? ORDER BY move_at_ms LIMIT ?'
    return this.#numbers(due, nowMs, limit)
  }

  /** Nothing is left to move of a query, for now. */
  settle(number: number): void {
    this.#sql.exec('UPDATE queries SET move_at_ms = NULL WHERE number = ?', number)
  }

  /** Everything that is due waits until then. */
  postpone(nowMs: number, untilMs: number): void {
    this.#sql.exec('UPDATE queries SET move_at_ms = ? WHERE move_at_ms <= ?', untilMs, nowMs)
    this.#sql.exec('UPDATE doomed_objects SET due_ms = ? WHERE due_ms <= ?', untilMs, nowMs)
  }

  /** When there is something to do; null: never. */
  nextDueMs(): number | null {
    const next = `SELECT MIN(due) AS due FROM (SELECT MIN(move_at_ms) AS due FROM queries WHERE move_at_ms IS NOT NULL
      UNION ALL SELECT MIN(due_ms) FROM doomed_objects UNION ALL SELECT 0 FROM erasing)`
    return this.#sql.exec<{ due: number | null }>(next).one().due
  }

  /** The arrival up to which rows are in segments. */
  movedUpTo(number: number): number {
    const newest = 'SELECT COALESCE(MAX(last), 0) AS last FROM segments WHERE number = ? AND moved = 1'
    return this.#sql.exec<{ last: number }>(newest, number).one().last
  }

  /** The segment that an arrival is in; null where its rows did not move. */
  holding(number: number, arrival: number): Segment | null {
    return this.#segment(
      `SELECT ${COLUMNS} FROM segments WHERE number = ? AND last >= ? AND moved = 1 ORDER BY last LIMIT 1`,
      number,
      arrival,
    )
  }

  /** The segment that was begun, if there is one. */
  planned(number: number): Segment | null {
    return this.#segment(`SELECT ${COLUMNS} FROM segments WHERE number = ? AND moved = 0`, number)
  }

  /**
   * The rows of the answers from an arrival on that are here, up to one, or until there are `maxAnswers` or `maxBytes`;
   * at least one answer's. Null: there are no more answers.
   */
  pack(
    number: number,
    first: number,
    last: number,
    limits: { maxAnswers: number; maxBytes: number },
  ): PackedRows | null {
    const ends: number[] = []
    const pieces: Bytes[] = []
    let bytes = 0
    const answers = this.#sql.exec<{ ordinal: number; data: ArrayBuffer | null }>(
      'SELECT ordinal, data FROM answers WHERE number = ? AND arrival BETWEEN ? AND ? ORDER BY arrival LIMIT ?',
      number,
      first,
      last,
      limits.maxAnswers,
    )
    // One at a time: all of them may be more than an isolate has room for.
    for (const { ordinal, data } of answers) {
      const rows = data === null ? null : this.#wholeRows(number, ordinal, new Uint8Array(data))
      const length = rows?.length ?? 0
      if (ends.length > 0 && bytes + length > limits.maxBytes) break
      if (rows !== null) pieces.push(rows)
      bytes += length
      ends.push(bytes)
    }
    if (ends.length === 0) return null
    return { first, last: first + ends.length - 1, ends: Uint32Array.from(ends), bytes: concatBytes(pieces) }
  }

  #wholeRows(number: number, ordinal: number, start: Bytes): Bytes {
    if (start.length < ANSWER_CHUNK_BYTES) return start
    const rest = this.#sql
      .exec<{ data: ArrayBuffer }>(
        'SELECT data FROM answer_chunks WHERE number = ? AND ordinal = ? ORDER BY chunk',
        number,
        ordinal,
      )
      .toArray()
    return concatBytes([start, ...rest.map(({ data }) => new Uint8Array(data))])
  }

  /** Notes a segment before its object is put. False: the query was erased meanwhile. */
  plan(number: number, { first, last, ends }: PackedRows, key: string): boolean {
    const insert = `INSERT INTO segments (number, first, last, key, format, ends)
      SELECT number, ?2, ?3, ?4, ?5, ?6 FROM queries WHERE number = ?1`
    return this.#sql.exec(insert, number, first, last, key, SEGMENT_FORMAT, ends.buffer).rowsWritten > 0
  }

  /** A segment's object is there: its rows are not kept here any more. False: the query was erased meanwhile. */
  commit(number: number, { first, last }: Pick<Segment, 'first' | 'last'>): boolean {
    return this.#storage.transactionSync(() => {
      const note = 'UPDATE segments SET moved = 1 WHERE number = ? AND last = ? AND moved = 0'
      if (this.#sql.exec(note, number, last).rowsWritten === 0) return false
      const range = 'number = ?1 AND arrival BETWEEN ?2 AND ?3'
      const chunks = `DELETE FROM answer_chunks WHERE number = ?1
        AND ordinal IN (SELECT ordinal FROM answers WHERE ${range} AND LENGTH(data) >= ${ANSWER_CHUNK_BYTES})`
      this.#sql.exec(chunks, number, first, last)
      this.#sql.exec(
        `UPDATE answers SET data = NULL WHERE ${range} AND data IS NOT NULL`,
        number,
        first,
        last,
      )
      return true
    })
  }

  /** Forgets a query's segments; their objects are to be deleted, those that were not put yet as well. */
  doom(number: number, nowMs: number, untilMs: number): void {
    const doom = `INSERT OR IGNORE INTO doomed_objects (key, due_ms, until_ms)
      SELECT key, ?2, ?3 FROM segments WHERE number = ?1 AND key <> ''`
    this.#sql.exec(doom, number, nowMs, untilMs)
    this.#sql.exec('DELETE FROM segments WHERE number = ?', number)
  }

  /** Objects that are to be deleted now. */
  doomed(nowMs: number, limit: number): string[] {
    const due = 'SELECT key FROM doomed_objects WHERE due_ms <= ? LIMIT ?'
    return this.#sql
      .exec<{ key: string }>(due, nowMs, limit)
      .toArray()
      .map(({ key }) => key)
  }

  /** These objects were deleted. Until their time is over a put that was under way may still make them anew. */
  markDeleted(keys: readonly string[], nowMs: number): void {
    const these = 'key IN (SELECT value FROM json_each(?1))'
    const list = JSON.stringify(keys)
    this.#sql.exec(`DELETE FROM doomed_objects WHERE ${these} AND until_ms <= ?2`, list, nowMs)
    this.#sql.exec(`UPDATE doomed_objects SET due_ms = until_ms WHERE ${these}`, list)
  }

  /** Queries that are being erased. */
  erasing(): number[] {
    return this.#numbers('SELECT number FROM erasing')
  }

  #numbers(statement: string, ...values: number[]): number[] {
    return this.#sql
      .exec<{ number: number }>(statement, ...values)
      .toArray()
      .map(({ number }) => number)
  }

  #segment(statement: string, ...values: number[]): Segment | null {
    const [row] = this.#sql.exec<SegmentRow>(statement, ...values).toArray()
    if (row === undefined) return null
    const { first, last, key, format, ends } = row
    if (format !== SEGMENT_FORMAT) throw new Error(`segments of format ${format} are not known`)
    return { first, last, key, ends: new Uint32Array(ends) }
  }
}
