/** What a document's text says that its parsed value does not: repeated names, how numbers are written, its depth. */

import { textOf, utf8 } from '../lib/bytes.ts'
import { pointerOf } from '../lib/json-pointer.ts'
import { JsonScanner } from '../lib/json-scanner.ts'

export interface DocumentFacts {
  /** Pointers of members whose name stood in their object before. */
  duplicates: string[]
  /** Pointers of numbers that are not written as plain integers, or are too large to be read exactly. */
  oddNumbers: Set<string>
  /** Pointers of numbers that no double holds: osquery's parser refuses the whole document for one. */
  hugeNumbers: string[]
  /** How deeply objects and arrays nest; the root is 1. */
  depth: number
}

/** Reads the facts of a text that is JSON. */
export function readDocumentFacts(text: string): DocumentFacts {
  const facts: DocumentFacts = { duplicates: [], oddNumbers: new Set(), hugeNumbers: [], depth: 0 }
  const namesByDepth: Set<string>[] = []
  const scanner = new JsonScanner({
    enter(path, kind) {
      const name = path.at(-1)
      const names = namesByDepth[path.length - 1]
      if (typeof name === 'string' && names !== undefined) {
        if (names.has(name)) facts.duplicates.push(pointerOf(path))
        names.add(name)
      }
      if (kind === 'number') return { maxBytes: 400 }
      if (kind !== 'object' && kind !== 'array') return 'skip'
      namesByDepth[path.length] = new Set()
      facts.depth = Math.max(facts.depth, path.length + 1)
      return 'descend'
    },
    captured(path, { bytes }) {
      const digits = bytes === null ? '' : textOf(bytes)
      if (bytes === null || !Number.isFinite(Number(digits))) facts.hugeNumbers.push(pointerOf(path))
      if (!/^-?\d+$/.test(digits) || !Number.isSafeInteger(Number(digits))) {
        facts.oddNumbers.add(pointerOf(path))
      }
    },
  })
  // The only fault of a text that is JSON: deeper than the scanner goes, which is deeper than agents go.
  if (!scanner.push(utf8(text)) || scanner.end() !== null) facts.depth = Number.POSITIVE_INFINITY
  return facts
}
