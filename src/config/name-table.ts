/**
 * The names that log lines carry and what they stand for. Agents join pack and query with a delimiter that may occur in
 * both (spec 3.3), so names are looked up in the configuration and never taken apart. Pure.
 */

import { textOf, utf8, type Bytes } from '../lib/bytes.ts'
import { scheduledNamesOf } from './scheduled-names.ts'
import { objectOfText } from '../lib/json-value.ts'

/** Readers accept this format and the one before it (design 4). */
const TABLE_FORMAT = 1

/** By the name in a line: the pack (null for the schedule) and the query's own name. */
export type NameTable = ReadonlyMap<string, readonly [pack: string | null, query: string]>

/** The table of these configuration documents, as bytes. A name with two meanings is in none. */
export function nameTableBytes(documents: readonly string[]): Bytes {
  const names = new Map<string, readonly [pack: string | null, query: string] | null>()
  for (const document of documents) {
    for (const { full, pack, bare } of scheduledNamesOf(objectOfText(document) ?? {})) {
      const known = names.get(full)
      const isAnother = known !== undefined && (known === null || known[0] !== pack || known[1] !== bare)
      names.set(full, isAnother ? null : [pack, bare])
    }
  }
  const entries = [...names].filter(([, meaning]) => meaning !== null)
  return utf8(JSON.stringify({ format: TABLE_FORMAT, names: entries }))
}

/** Reads a table; an empty one where it is of a format that this Worker does not know. */
export function readNameTable(bytes: Bytes): NameTable {
  const table = JSON.parse(textOf(bytes)) as { format: number; names: [string, [string | null, string]][] }
  return new Map(table.format === TABLE_FORMAT ? table.names : [])
}
