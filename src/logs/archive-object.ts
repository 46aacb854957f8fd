/** The objects of the archive: where they lie, and what the index says of each. Types and pure functions only. */

import { hexOf, sha256, utf8, type Bytes } from '../lib/bytes.ts'
import type { LineType } from './line.ts'

/** Lines are kept this long: R2's lifecycle rule works by the prefix, so it is the first part of the key. */
export const RETENTION_DAYS = 90

/** Node ids and names that a row names; beyond it says "any", so that a row stays small. */
export const MAX_ROW_NODES = 256
export const MAX_ROW_NAMES = 64
/** Of a row's event ids; a BLOB of a Durable Object has 2 MB, and an object of 4 MiB has some 17,000 lines. */
export const MAX_ROW_ID_BYTES = 1_024 * 1_024

/** One object, as the index knows it. */
export interface ArchiveRow {
  key: string
  type: LineType
  /** `yyyy-mm-ddThh` (UTC) of the times received. */
  hour: string
  /** Compressed, as it lies in R2. */
  bytes: number
  /** Inflated. */
  lineBytes: number
  lines: number
  firstMs: number
  lastMs: number
  /** Whose lines are in it; null: anybody's. */
  nodes: readonly string[] | null
  names: readonly string[] | null
  /** The prefixes of its lines' event ids (id-prefixes.ts); null: not known. */
  ids: Bytes | null
}

export interface IndexedRow extends Omit<ArchiveRow, 'ids'> {
  /** Raised with every object that is added: readers that page remember how far there was anything. */
  sequence: number
}

/** The hour of a time, as keys and rows have it. */
export function hourOf(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 13)
}

/**
 * The key of an object: named by what it was made of, so that a redelivered batch overwrites itself (design 4, Logs).
 */
export async function archiveKey(
  place: { environmentId: string; type: LineType; hour: string },
  sourceIds: Iterable<string>,
  piece: number,
): Promise<string> {
  const made = `${[...sourceIds].sort().join('\n')}\n${piece}`
  const name = hexOf((await sha256(utf8(made))).subarray(0, 16))
  const [date, hour] = place.hour.split('T')
  return (
    `logs/r${RETENTION_DAYS}/environment=${place.environmentId}/type=${place.type}/` +
    `date=${date}/hour=${hour}/${name}.ndjson.gz`
  )
}
