/** Reads the member `line` of each log item as it is written: parsed and written anew it could differ unnoticed. */

import { strictTextOf, type Bytes } from '../../lib/bytes.ts'
import { JsonScanner } from '../../lib/json-scanner.ts'

const LINE = 'line'
const NO_LIMIT = { maxBytes: Number.MAX_SAFE_INTEGER }

/** The text of `items[n].line` by n, of a page of logs. An item without a line that is UTF-8 has none. */
export function rawLines(page: Bytes): Map<number, string> {
  const lines = new Map<number, string>()
  const scanner = new JsonScanner({
    enter: ([list, , member], kind) => {
      if (list !== undefined && list !== 'items') return 'skip'
      if (member === LINE) return NO_LIMIT
      return member === undefined && (kind === 'object' || kind === 'array') ? 'descend' : 'skip'
    },
    captured: ([, index], { bytes }) => {
      const text = bytes === null ? null : strictTextOf(bytes)
      if (typeof index === 'number' && text !== null) lines.set(index, text)
    },
  })
  scanner.push(page)
  const fault = scanner.end()
  if (fault !== null) throw new Error(`a page of logs is no JSON at byte ${fault.offset}: ${fault.detail}`)
  return lines
}
