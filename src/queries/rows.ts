/** Splits a stored array of rows into its rows, each as the agent wrote it. */

import type { Bytes } from '../lib/bytes.ts'
import { JsonScanner } from '../lib/json-scanner.ts'

/** The elements of a JSON array. Throws where the bytes are none: they are our own. */
export function splitRows(array: Bytes): Bytes[] {
  const rows: Bytes[] = []
  const scanner = new JsonScanner({
    enter: (path) => (path.length === 0 ? 'descend' : { maxBytes: array.length }),
    captured: (_path, { bytes }) => {
      if (bytes !== null) rows.push(bytes)
    },
  })
  scanner.push(array)
  const fault = scanner.end()
  if (fault !== null) throw new Error(`stored rows are no JSON array: ${fault.detail} at ${fault.offset}`)
  return rows
}
