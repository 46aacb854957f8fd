/** The SQLite of one AnswerShard: named statements with typed rows, nothing else. */

import { NodeSet } from '../fleet/node-set.ts'
import { concatBytes, piecesOf, type Bytes } from '../lib/bytes.ts'
import type { Offer } from '../fleet/offer.ts'
import type { QueryDefinition } from '../snapshot/compile.ts'
import type { AnswerPosition, NewAnswer } from './answer.ts'
import { ANSWER_LOG_SCHEMA_STEP } from './answer-log.ts'
import {
  ARRIVAL_SCHEMA_STEP,
  FAILED_SCHEMA_STEP,
  OFFERS_KEPT_SCHEMA_STEP,
  type Arrival,
} from './arrival-store.ts'
import { ANSWER_CHUNK_BYTES } from './constants.ts'
import { COUNT_SCHEMA_STEP } from './count-store.ts'
import { SEGMENT_SCHEMA_STEP } from './segment-store.ts'

export const SHARD_SCHEMA = [
  `CREATE TABLE queries (number INTEGER PRIMARY KEY, definition TEXT NOT NULL, targets BLOB NOT NULL,
     reported_at_ms INTEGER NOT NULL DEFAULT 0, changed INTEGER NOT NULL DEFAULT 0);
   CREATE TABLE offers (number INTEGER NOT NULL, ordinal INTEGER NOT NULL, tries INTEGER NOT NULL,
     last_offered_at_ms INTEGER NOT NULL, PRIMARY KEY (number, ordinal)) WITHOUT ROWID;
   CREATE TABLE answers (number INTEGER NOT NULL, ordinal INTEGER NOT NULL, node_id TEXT NOT NULL,
     received_at_ms INTEGER NOT NULL, status INTEGER NOT NULL, message TEXT NOT NULL, stats TEXT NOT NULL,
     row_count INTEGER NOT NULL, truncated INTEGER NOT NULL, data BLOB, PRIMARY KEY (number, ordinal)) WITHOUT ROWID;
   CREATE INDEX answers_by_time ON answers (number, received_at_ms, ordinal, status);
   CREATE TABLE answer_chunks (number INTEGER NOT NULL, ordinal INTEGER NOT NULL, chunk INTEGER NOT NULL,
     data BLOB NOT NULL, PRIMARY KEY (number, ordinal, chunk)) WITHOUT ROWID;
   CREATE TABLE carve_links (number INTEGER NOT NULL, ordinal INTEGER NOT NULL, node_id TEXT NOT NULL,
     carves TEXT NOT NULL, message TEXT NOT NULL, PRIMARY KEY (number, ordinal)) WITHOUT ROWID;
   CREATE TABLE erased (number INTEGER PRIMARY KEY);`,
  ARRIVAL_SCHEMA_STEP,
  ANSWER_LOG_SCHEMA_STEP,
  FAILED_SCHEMA_STEP,
  SEGMENT_SCHEMA_STEP,
  OFFERS_KEPT_SCHEMA_STEP,
  COUNT_SCHEMA_STEP,
  // Nodes above this ordinal are asked, though they are not among the targets yet.
  'ALTER TABLE queries ADD COLUMN late_from INTEGER',
]

/** A query as a shard knows it: the targets are those of this shard only. */
export interface ShardQuery extends QueryDefinition {
  reportedAtMs: number
  changed: boolean
  /** Nobody is offered it any more; late answers are still taken. */
  closed: boolean
  /** A number: nodes above this ordinal are asked, too. */
  lateFrom: number | null
}

interface QueryRow extends Record<string, SqlStorageValue> {
  definition: string
  targets: ArrayBuffer
  reported_at_ms: number
  changed: number
  closed: number
  late_from: number | null
}

interface RecordRow extends Record<string, SqlStorageValue> {
  arrival: number
  ordinal: number
  nodeId: string
  receivedAtMs: number
  status: number
  message: string
  stats: string
  rowCount: number
  truncated: number
}

export class ShardStore {
  readonly #sql: SqlStorage

  constructor(sql: SqlStorage) {
    this.#sql = sql
  }

  query(number: number): ShardQuery | null {
    const [row] = this.#sql
      .exec<QueryRow>(
        'SELECT definition, targets, reported_at_ms, changed, closed, late_from FROM queries WHERE number = ?',
        number,
      )
      .toArray()
    if (row === undefined) return null
    return {
      ...(JSON.parse(row.definition) as Omit<QueryDefinition, 'targets'>),
      targets: new Uint8Array(row.targets),
      reportedAtMs: row.reported_at_ms,
      changed: row.changed === 1,
      closed: row.closed === 1,
      lateFrom: row.late_from,
    }
  }

  putQuery({ targets, ...definition }: QueryDefinition): void {
    this.#sql.exec(
      'INSERT OR IGNORE INTO queries (number, definition, targets, late_from) VALUES (?, ?, ?, ?)',
      definition.number,
      JSON.stringify(definition),
      targets,
      definition.openFrom ?? null,
    )
  }

  /** Nodes up to the ordinal are targets, or not meant. False where the query is not there. */
  addTargets(number: number, added: Bytes, upTo: number | null): boolean {
    const query = this.query(number)
    if (query === null) return false
    const targets = NodeSet.fromBytes(query.targets)
    targets.addAll(NodeSet.fromBytes(added))
    this.#sql.exec(
      'UPDATE queries SET targets = ?2, late_from = MAX(late_from, COALESCE(?3, 0)) WHERE number = ?1',
      number,
      targets.toBytes(),
      upTo,
    )
    return true
  }

  /** Numbers of the queries whose remaining set changed since it was reported. */
  changedNumbers(): number[] {
    const rows = this.#sql.exec<{ number: number }>('SELECT number FROM queries WHERE changed = 1').toArray()
    return rows.map(({ number }) => number)
  }

  markChanged(number: number): void {
    this.#sql.exec('UPDATE queries SET changed = 1 WHERE number = ?', number)
  }

  markReported(number: number, atMs: number): void {
    this.#sql.exec('UPDATE queries SET changed = 0, reported_at_ms = ? WHERE number = ?', atMs, number)
  }

  offer(number: number, ordinal: number): Offer | null {
    const [row] = this.#sql
      .exec<{ tries: number; last_offered_at_ms: number }>(
        'SELECT tries, last_offered_at_ms FROM offers WHERE number = ? AND ordinal = ?',
        number,
        ordinal,
      )
      .toArray()
    return row === undefined ? null : { tries: row.tries, lastOfferedAtMs: row.last_offered_at_ms }
  }

  noteOffer(number: number, ordinal: number, nowMs: number): void {
    this.#sql.exec(
      `INSERT INTO offers (number, ordinal, tries, last_offered_at_ms) VALUES (?1, ?2, 1, ?3)
       ON CONFLICT (number, ordinal) DO UPDATE SET tries = tries + 1, last_offered_at_ms = ?3`,
      number,
      ordinal,
      nowMs,
    )
  }

  hasAnswer(number: number, ordinal: number): boolean {
    const found = this.#sql.exec('SELECT 1 FROM answers WHERE number = ? AND ordinal = ?', number, ordinal)
    return found.toArray().length > 0
  }

  /** What is known of its offers goes with the answer. */
  putAnswer(answer: NewAnswer, node: { ordinal: number; nodeId: string }, nowMs: number): void {
    const { number, rows } = answer
    const [first = null, ...rest] = rows === null ? [] : piecesOf(rows, ANSWER_CHUNK_BYTES)
    this.#sql.exec(
      `INSERT INTO answers (number, ordinal, node_id, received_at_ms, status, message, stats, row_count, truncated, data,
         arrival, tries, last_offered_at_ms)
       SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, (SELECT COALESCE(MAX(arrival), 0) + 1 FROM answers WHERE number = ?1),
         COALESCE(offers.tries, settled.tries, 0), COALESCE(offers.last_offered_at_ms, settled.last_offered_at_ms)
       FROM (SELECT 1) LEFT JOIN offers ON offers.number = ?1 AND offers.ordinal = ?2
         LEFT JOIN not_applicable AS settled ON settled.number = ?1 AND settled.ordinal = ?2`,
      number,
      node.ordinal,
      node.nodeId,
      nowMs,
      answer.status,
      answer.message,
      answer.stats,
      answer.rowCount,
      answer.truncated ? 1 : 0,
      first,
    )
    for (const [index, data] of rest.entries()) {
      this.#sql.exec(
        'INSERT INTO answer_chunks (number, ordinal, chunk, data) VALUES (?, ?, ?, ?)',
        number,
        node.ordinal,
        index + 1,
        data,
      )
    }
    this.#sql.exec('DELETE FROM offers WHERE number = ? AND ordinal = ?', number, node.ordinal)
  }

  answeredOrdinals(number: number): number[] {
    const rows = this.#sql
      .exec<{ ordinal: number }>('SELECT ordinal FROM answers WHERE number = ?', number)
      .toArray()
    return rows.map(({ ordinal }) => ordinal)
  }

  /** Records of a query, newest first, after a place in that order. */
  records(number: number, after: AnswerPosition | null, limit: number): Arrival[] {
    return [...this.#newestFirst(number, after, '<', limit)]
  }

  /** The same from a place on, read only as far as they are taken. */
  recordsFrom(number: number, from: AnswerPosition | null): IterableIterator<Arrival> {
    return this.#newestFirst(number, from, '<=', Number.MAX_SAFE_INTEGER)
  }

  *#newestFirst(
    number: number,
    from: AnswerPosition | null,
    relation: '<' | '<=',
    limit: number,
  ): Generator<Arrival, void, undefined> {
    const place = from ?? { receivedAtMs: Number.MAX_SAFE_INTEGER, ordinal: Number.MAX_SAFE_INTEGER }
    const rows = this.#sql.exec<RecordRow>(
      `SELECT arrival, ordinal, node_id AS nodeId, received_at_ms AS receivedAtMs, status, message, stats,
         row_count AS rowCount, truncated FROM answers
       WHERE number = ?1 AND (received_at_ms, ordinal) ${relation} (?2, ?3)
       ORDER BY received_at_ms DESC, ordinal DESC LIMIT ?4`,
      number,
      place.receivedAtMs,
      place.ordinal,
      limit,
    )
    for (const row of rows) yield { ...row, truncated: row.truncated === 1 }
  }

  /** The compressed rows of an answer, as far as they did not move; null where there are none. */
  rows(number: number, ordinal: number): Bytes | null {
    const [first] = this.#sql
      .exec<{ data: ArrayBuffer | null }>(
        'SELECT data FROM answers WHERE number = ? AND ordinal = ?',
        number,
        ordinal,
      )
      .toArray()
    if (first === undefined || first.data === null) return null
    const rest = this.#sql
      .exec<{ data: ArrayBuffer }>(
        'SELECT data FROM answer_chunks WHERE number = ? AND ordinal = ? ORDER BY chunk',
        number,
        ordinal,
      )
      .toArray()
    return concatBytes([first.data, ...rest.map(({ data }) => data)].map((data) => new Uint8Array(data)))
  }

  isErased(number: number): boolean {
    return this.#sql.exec('SELECT 1 FROM erased WHERE number = ?', number).toArray().length > 0
  }

  /** Forgets a query for good. What nodes said of it is deleted by `eraseSlice`. */
  erase(number: number): void {
    this.#sql.exec('DELETE FROM queries WHERE number = ?', number)
    this.#sql.exec('INSERT OR IGNORE INTO erased (number) VALUES (?)', number)
    this.#sql.exec('INSERT OR IGNORE INTO erasing (number) VALUES (?)', number)
  }

  /** Deletes at most so many rows of each table of an erased query. False: there are none left. */
  eraseSlice(number: number, maxRows: number): boolean {
    let deleted = 0
    for (const table of ['offers', 'answers', 'answer_chunks', 'carve_links', 'not_applicable']) {
      const some = `ordinal IN (SELECT ordinal FROM ${table} WHERE number = ?1 LIMIT ?2)`
      const statement = `DELETE FROM ${table} WHERE number = ?1 AND ${some}`
      deleted += this.#sql.exec(statement, number, maxRows).rowsWritten
    }
    if (deleted === 0) this.#sql.exec('DELETE FROM erasing WHERE number = ?', number)
    return deleted > 0
  }
}
