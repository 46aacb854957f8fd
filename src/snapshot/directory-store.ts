/** What the Directory object has installed, in its SQLite. */

import { concatBytes, piecesOf, textOf, utf8 } from '../lib/bytes.ts'
import type { Directory } from './head.ts'

/** Steps of the Directory object's schema. */
export const DIRECTORY_SCHEMA =
  'CREATE TABLE directory (id INTEGER PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL)'
export const DIRECTORY_PIECES_SCHEMA =
  'CREATE TABLE directory_pieces (piece INTEGER PRIMARY KEY, bytes BLOB NOT NULL)'

/** A value has 2 MB at most (Durable Objects limits); some hundred secrets with many networks each come to more. */
const MAX_PIECE_BYTES = 1_024 * 1_024

export class DirectoryStore {
  readonly #sql: SqlStorage

  constructor(sql: SqlStorage) {
    this.#sql = sql
  }

  /** Null: none yet. */
  installed(): Directory | null {
    const whole = this.#whole()
    const pieced = this.#pieced()
    // A Worker of before knows no pieces, and may have stored a newer one whole.
    return whole !== null && pieced !== null && whole.revision < pieced.revision ? pieced : (whole ?? pieced)
  }

  /** Replaces it: in one row, as Workers of before read it, unless it is too large. */
  install(directory: Directory): void {
    const json = JSON.stringify(directory)
    const bytes = utf8(json)
    this.#sql.exec('DELETE FROM directory')
    this.#sql.exec('DELETE FROM directory_pieces')
    if (bytes.length <= MAX_PIECE_BYTES)
      this.#sql.exec('INSERT INTO directory (id, json) VALUES (1, ?)', json)
    else
      for (const piece of piecesOf(bytes, MAX_PIECE_BYTES))
        this.#sql.exec('INSERT INTO directory_pieces (bytes) VALUES (?)', piece)
  }

  #whole(): Directory | null {
    const [row] = this.#sql.exec<{ json: string }>('SELECT json FROM directory').toArray()
    return row === undefined ? null : (JSON.parse(row.json) as Directory)
  }

  #pieced(): Directory | null {
    const pieces = this.#sql
      .exec<{ bytes: ArrayBuffer }>('SELECT bytes FROM directory_pieces ORDER BY piece')
      .toArray()
    if (pieces.length === 0) return null
    return JSON.parse(textOf(concatBytes(pieces.map(({ bytes }) => new Uint8Array(bytes))))) as Directory
  }
}
