/** Counts of rows by columns that an AnswerShard keeps for operators (group-count.ts): a part of its SQLite. */

import { concatBytes, piecesOf, type Bytes } from '../lib/bytes.ts'
import { ANSWER_CHUNK_BYTES } from './constants.ts'

/** Counts of one query that are kept; the ones asked for last. */
const MAX_COUNTS = 20

/** A step of the shard's schema. */
export const COUNT_SCHEMA_STEP = `
  CREATE TABLE row_counts (number INTEGER NOT NULL, key TEXT NOT NULL, chunk INTEGER NOT NULL, data BLOB NOT NULL,
    kept_at_ms INTEGER NOT NULL, PRIMARY KEY (number, key, chunk)) WITHOUT ROWID;`

export class CountStore {
  readonly #storage: DurableObjectStorage

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage
  }

  /** What is counted so far under this key; null: nothing. */
  get(number: number, key: string): Bytes | null {
    const chunks = this.#storage.sql
      .exec<{ data: ArrayBuffer }>(
        'SELECT data FROM row_counts WHERE number = ? AND key = ? ORDER BY chunk',
        number,
        key,
      )
      .toArray()
    return chunks.length === 0 ? null : concatBytes(chunks.map(({ data }) => new Uint8Array(data)))
  }

  /** Keeps it in place of what was there. Of a query that is not known, or was erased, nothing is kept. */
  put(number: number, key: string, bytes: Bytes, nowMs: number): void {
    this.#storage.transactionSync(() => {
      const { sql } = this.#storage
      sql.exec('DELETE FROM row_counts WHERE number = ? AND key = ?', number, key)
      for (const [chunk, data] of piecesOf(bytes, ANSWER_CHUNK_BYTES).entries())
        sql.exec(
          `INSERT INTO row_counts (number, key, chunk, data, kept_at_ms)
           SELECT number, ?2, ?3, ?4, ?5 FROM queries WHERE number = ?1`,
          number,
          key,
          chunk,
          data,
          nowMs,
        )
      sql.exec(
        `DELETE FROM row_counts WHERE number = ?1 AND key NOT IN (SELECT key FROM row_counts
         WHERE number = ?1 AND chunk = 0 ORDER BY kept_at_ms DESC, key LIMIT ?2)`,
        number,
        MAX_COUNTS,
      )
    })
  }

  erase(number: number): void {
    this.#storage.sql.exec('DELETE FROM row_counts WHERE number = ?', number)
  }
}
