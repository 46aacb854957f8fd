/** Rows as a table for people, as they come: widths are those of the first rows, and new columns get a new header. */

import { plain } from '../config/print.ts'

/** A name that no table of osquery has as a column, as in CSV. */
const HOST = 'node_hostname'
const GAP = '  '
const WIDEST = 60

export interface TableRow {
  hostname: string | null
  columns: Record<string, unknown>
}

export class RowTable {
  #columns: string[] = []
  #widths: number[] = []

  /** The lines of some rows that came together. */
  lines(rows: readonly TableRow[]): string[] {
    return rows.flatMap((row, index) => {
      const isKnown = Object.keys(row.columns).every((column) => this.#columns.includes(column))
      const header = isKnown && this.#widths.length > 0 ? [] : [this.#begin(rows.slice(index))]
      return [...header, this.#line(cellsOf(row, this.#columns))]
    })
  }

  /** Takes the columns of these rows on; the header. */
  #begin(rows: readonly TableRow[]): string {
    this.#columns = [...new Set([...this.#columns, ...rows.flatMap(({ columns }) => Object.keys(columns))])]
    const header = [HOST, ...this.#columns.map(plain)]
    const lengths = [header, ...rows.map((row) => cellsOf(row, this.#columns))]
    this.#widths = header.map((_, at) =>
      Math.min(WIDEST, Math.max(...lengths.map((cells) => cells[at]?.length ?? 0))),
    )
    return this.#line(header)
  }

  #line(cells: readonly string[]): string {
    return cells
      .map((cell, at) => cell.padEnd(this.#widths[at] ?? 0))
      .join(GAP)
      .trimEnd()
  }
}

function cellsOf({ hostname, columns }: TableRow, names: readonly string[]): string[] {
  const values = names.map((name) => columns[name] ?? '')
  return [hostname ?? '?', ...values].map((value) =>
    plain(typeof value === 'string' ? value : JSON.stringify(value)),
  )
}
