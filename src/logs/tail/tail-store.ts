/** How far the live tail has read. It is there while somebody watches. */

/** Steps of the object's schema: append only. */
export const TAIL_SCHEMA = [
  'CREATE TABLE tail (id INTEGER PRIMARY KEY CHECK (id = 1), environment TEXT NOT NULL, position INTEGER NOT NULL)',
]

export interface TailState {
  environmentId: string
  /** Objects up to this sequence were shown. */
  position: number
}

export class TailStore {
  readonly #sql: SqlStorage

  constructor(sql: SqlStorage) {
    this.#sql = sql
  }

  state(): TailState | null {
    const [row] = this.#sql
      .exec<{ environment: string; position: number }>('SELECT environment, position FROM tail')
      .toArray()
    return row === undefined ? null : { environmentId: row.environment, position: row.position }
  }

  put({ environmentId, position }: TailState): void {
    this.#sql.exec(
      'INSERT OR REPLACE INTO tail (id, environment, position) VALUES (1, ?, ?)',
      environmentId,
      position,
    )
  }

  forget(): void {
    this.#sql.exec('DELETE FROM tail')
  }
}
