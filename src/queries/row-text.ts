/**
 * A result row as it goes into JSON. Agents write bytes that are not UTF-8 (spec section 2), JSON must not have them: such
 * a row is shown with U+FFFD in their place, and whole as base64 beside it, which is also how a reader knows. Pure.
 */

import { base64Of } from '../lib/bytes.ts'
import { bytesOfRawText, rawTextOf } from '../lib/raw-text.ts'

/** A row as a text that keeps every byte (lib/raw-text.ts). */
export const rowTextOf = rawTextOf

/** The members `columns` and, where the row is not UTF-8, `columnsBase64`. One line, for NDJSON. */
export function columnsMembers(row: string): string {
  // As the agent wrote it; between tokens there may be line ends.
  const line = /[\r\n]/.test(row) ? row.replace(/[\r\n]+/g, ' ') : row
  if (line.isWellFormed()) return `"columns":${line}`
  return `"columns":${line.toWellFormed()},"columnsBase64":"${base64OfRow(row)}"`
}

/** The row's bytes as the agent wrote them. */
export function base64OfRow(row: string): string {
  return base64Of(bytesOfRawText(row))
}
