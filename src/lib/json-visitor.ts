/** What a scan of JSON tells, and what it is asked for. Types only. */

import type { Bytes } from './bytes.ts'
import type { JsonKind } from './json-grammar.ts'

export type { JsonKind } from './json-grammar.ts'

/** Member names and array indexes from the root to a value. */
export type JsonPath = readonly (string | number)[]

/**
 * What the visitor wants of a value: `descend` into its members, its bytes (`maxBytes` at most), every piece of
 * its bytes as it comes (`stream`), or nothing (`skip`: still checked).
 */
export type ScanWish = 'descend' | 'skip' | 'stream' | { maxBytes: number }

export interface CapturedValue {
  /** The value as it was written, or null where it was longer than asked for. */
  bytes: Bytes | null
  totalBytes: number
}

export interface JsonVisitor {
  /** Asked for the root, and for each member of a value that was descended into. */
  enter(path: JsonPath, kind: JsonKind): ScanWish
  /** A captured value ended. The path is valid during the call only. */
  captured?(path: JsonPath, value: CapturedValue): void
  /** A piece of a streamed value, quotes and all. The bytes are valid during the call only. */
  piece?(path: JsonPath, bytes: Uint8Array): void
  /** A streamed or descended value ended. */
  left?(path: JsonPath): void
}

/** Where and why a text stopped being JSON. */
export interface JsonFault {
  offset: number
  detail: string
}
