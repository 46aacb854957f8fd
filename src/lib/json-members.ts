/** The members of a JSON object or the items of a list as they are written: no number, escape or order changes on its way. Pure. */

import { textOf, utf8, type Bytes } from './bytes.ts'
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

/** Where a member's value stands: the first byte, and the one behind it. */
export interface ValuePlace {
  from: number
  to: number
}

/** The places of an object's values, by name; of a name that stands twice the last. Null where it is no object. */
export function memberPlaces(objectBytes: Bytes): Map<string, ValuePlace> | null {
  let isObject = false
  const places = new Map<string, ValuePlace>()
  const scanner = new JsonScanner({
    enter(path, kind) {
      if (path.length > 0) return { maxBytes: objectBytes.length }
      isObject = kind === 'object'
      return isObject ? 'descend' : 'skip'
    },
    captured([name], { bytes: value }) {
      if (typeof name !== 'string' || value === null) return
      // What is captured from one chunk points into it.
      const from = value.byteOffset - objectBytes.byteOffset
      places.set(name, { from, to: from + value.length })
    },
  })
  scanner.push(objectBytes)
  return scanner.end() === null && isObject ? places : null
}
