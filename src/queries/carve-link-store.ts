/** What answers to carve queries say, until D1 has it: a part of an AnswerShard's SQLite. */

export interface CarveLink {
  number: number
  ordinal: number
  nodeId: string
  carves: { carveId: string; path: string }[]
  message: string
}

export class CarveLinkStore {
  readonly #sql: SqlStorage

  constructor(sql: SqlStorage) {
    this.#sql = sql
  }

  put(link: CarveLink): void {
    this.#sql.exec(
      'INSERT OR REPLACE INTO carve_links (number, ordinal, node_id, carves, message) VALUES (?, ?, ?, ?, ?)',
      link.number,
      link.ordinal,
      link.nodeId,
      JSON.stringify(link.carves),
      link.message,
    )
  }

  some(limit: number): CarveLink[] {
    return this.#sql
      .exec<{ number: number; ordinal: number; nodeId: string; carves: string; message: string }>(
        'SELECT number, ordinal, node_id AS nodeId, carves, message FROM carve_links LIMIT ?',
        limit,
      )
      .toArray()
      .map((row) => ({ ...row, carves: JSON.parse(row.carves) as CarveLink['carves'] }))
  }

  drop(number: number, ordinal: number): void {
    this.#sql.exec('DELETE FROM carve_links WHERE number = ? AND ordinal = ?', number, ordinal)
  }
}
