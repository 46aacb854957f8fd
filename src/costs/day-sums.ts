/** The sums of one day while a batch is taken: rows are read when first touched, and written once. */

import { rowOfTallies, TALLIES_PER_ROW, talliesOfRow } from './tally-row.ts'
import { emptyTally, type QueryTally } from './tally.ts'

export class DaySums {
  readonly #sql: SqlStorage
  readonly #day: number
  readonly #chunks = new Map<number, Map<number, QueryTally>>()

  constructor(sql: SqlStorage, day: number) {
    this.#sql = sql
    this.#day = day
  }

  /** The tally of a version, to be added to. */
  tally(id: number): QueryTally {
    const tallies = this.#chunk(Math.floor(id / TALLIES_PER_ROW))
    let tally = tallies.get(id)
    if (tally === undefined) {
      tally = emptyTally()
      tallies.set(id, tally)
    }
    return tally
  }

  write(): void {
    for (const [chunk, tallies] of this.#chunks)
      this.#sql.exec(
        'INSERT OR REPLACE INTO days (day, chunk, tallies) VALUES (?, ?, ?)',
        this.#day,
        chunk,
        rowOfTallies(tallies),
      )
  }

  #chunk(chunk: number): Map<number, QueryTally> {
    const known = this.#chunks.get(chunk)
    if (known !== undefined) return known
    const [row] = this.#sql
      .exec<{ tallies: ArrayBuffer }>(
        'SELECT tallies FROM days WHERE day = ? AND chunk = ?',
        this.#day,
        chunk,
      )
      .toArray()
    const tallies =
      row === undefined ? new Map<number, QueryTally>() : talliesOfRow(new Uint8Array(row.tallies))
    this.#chunks.set(chunk, tallies)
    return tallies
  }
}
