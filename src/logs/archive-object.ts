/** The objects of the archive: where they lie, and what the index says of each. Types and pure functions only. */

import { hexOf, sha256, utf8, type Bytes } from '../lib/bytes.ts'
import type { ByteRange } from './index/directory.ts'
import type { LineType } from './line.ts'

/** Node ids and names that a row names; beyond it says "any", so that a row stays small. */
export const MAX_ROW_NODES = 256
export const MAX_ROW_NAMES = 64
/** Of a row's event ids; a BLOB of a Durable Object has 2 MB, and an object of 4 MiB has some 17,000 lines. */
export const MAX_ROW_ID_BYTES = 1_024 * 1_024

/**
 * Whose audit lines those of the whole deployment are: of no tenant, so that no environment's sink carries what others
 * did. No environment can have this id.
 */
export const DEPLOYMENT_ENVIRONMENT_ID = '00000000-0000-0000-0000-000000000000'

/**
 * No content-encoding: with one, clients of R2's S3 API inflate what they then take for gzip, and DuckDB cannot read
 * ranges (duckdb/duckdb issue 6497).
 */
export const OBJECT_HTTP_METADATA = { contentType: 'application/gzip' } as const

/** One object, as the index knows it. */
export interface ArchiveRow {
  key: string
  type: LineType
  /** `yyyy-mm-ddThh` (UTC) of the times received. */
  hour: string
  /** Its object ends after so many days: the class in its key. */
  retentionDays: number
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
  /** Made of others, sorted by node; its gzip has several members (lib/gzip-members). */
  compacted: boolean
  /** The members that may hold what was asked for; null: all. */
  ranges: readonly ByteRange[] | null
}

/** The hour of a time, as keys and rows have it. */
export function hourOf(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 13)
}

/**
 * The key of an object: named by what it was made of, so that a redelivered batch overwrites itself (design 4, Logs).
 */
export async function archiveKey(
  place: { environmentId: string; type: LineType; hour: string; retentionDays: number },
  sourceIds: Iterable<string>,
  piece: number,
): Promise<string> {
  const made = `${[...sourceIds].sort().join('\n')}\n${piece}`
  const name = hexOf((await sha256(utf8(made))).subarray(0, 16))
  const [date, hour] = place.hour.split('T')
  return (
    `logs/r${place.retentionDays}/environment=${place.environmentId}/type=${place.type}/` +
    `date=${date}/hour=${hour}/${name}.ndjson.gz`
  )
}

/** The retention class that a key names. Throws where it names none: keys are our own. */
export function retentionDaysOfKey(key: string): number {
  const days = /^logs\/r(\d+)\//.exec(key)?.[1]
  if (days === undefined) throw new Error('a key of the archive names its retention')
  return Number(days)
}
