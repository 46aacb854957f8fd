/** The members of a JSON object or the items of a list as they are written: no number, escape or order changes on its way. Pure. */

import { textOf, utf8 } from './bytes.ts'
import { JsonScanner } from './json-scanner.ts'

/** The text of each member's value, by name. Of a name that stands twice the last counts, as for JSON.parse. */
export function memberTexts(objectText: string): Map<string, string> {
  const bytes = utf8(objectText)
  const members = new Map<string, string>()
  const scanner = new JsonScanner({
    enter: (path) => (path.length === 0 ? 'descend' : { maxBytes: bytes.length }),
    captured([name], { bytes: value }) {
      if (typeof name === 'string' && value !== null) members.set(name, textOf(value))
    },
  })
  scanner.push(bytes)
  scanner.end()
  return members
}

/** The text of each item of a JSON list. */
export function itemTexts(listText: string): string[] {
  const bytes = utf8(listText)
  const items: string[] = []
  const scanner = new JsonScanner({
    enter: (path) => (path.length === 0 ? 'descend' : { maxBytes: bytes.length }),
    captured([index], { bytes: value }) {
      if (typeof index === 'number' && value !== null) items[index] = textOf(value)
    },
  })
  scanner.push(bytes)
  scanner.end()
  return items
}
