/** Which result rows an operator wants. Pure. */

import { memberTexts } from '../lib/json-members.ts'

export interface RowFilter {
  nodeId: string | null
  /** The column of this name has this value, as a text. */
  column: { name: string; value: string } | null
}

export const ALL_ROWS: RowFilter = { nodeId: null, column: null }

/** The columns of a row, as texts: agents send texts, but releases with `logger_numerics` send numbers, too. */
export function columnsOf(row: string): Map<string, string> {
  const columns = new Map<string, string>()
  // With a function for each value the same takes fifteen times as long, and nearly all rows have texts only.
  for (const [name, value] of Object.entries(JSON.parse(row) as Record<string, unknown>)) {
    if (typeof value !== 'string') return columnsWithNumbers(row)
    columns.set(name, value)
  }
  return columns
}

/** What is no text as it is written: a 64-bit number would be rounded. A null is empty. */
function columnsWithNumbers(row: string): Map<string, string> {
  const columns = new Map<string, string>()
  for (const [name, text] of memberTexts(row)) {
    const isText = text.startsWith('"')
    columns.set(name, isText ? (JSON.parse(text) as string) : text === 'null' ? '' : text)
  }
  return columns
}

/** Whether a row (JSON object text) has the wanted column. */
export function matchesRow({ column }: RowFilter, row: string): boolean {
  // What is not UTF-8 is found by what is shown of it.
  return column === null || columnsOf(row).get(column.name)?.toWellFormed() === column.value
}
