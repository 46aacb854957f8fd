/**
 * How far a viewer of a query is: for each shard the last answer that was shown whole, and the rows shown of the next
 * one. As text it is the stream's cursor. Pure.
 */

import { base64UrlOf, bytesOfBase64Url, textOf, utf8 } from '../lib/bytes.ts'
import { valueOfText } from '../lib/json-value.ts'

export interface ViewerPlace {
  /** By shard: arrivals from 1 to this were shown. */
  arrivals: number[]
  /** By shard: rows shown of the answer after that. */
  rows: number[]
}

const FORMAT = 1
/** Shards of a query at most (design 3). */
const MAX_SHARDS = 128

export function startPlace(shards: number): ViewerPlace {
  return { arrivals: Array<number>(shards).fill(0), rows: Array<number>(shards).fill(0) }
}

export function writePlace({ arrivals, rows }: ViewerPlace): string {
  return base64UrlOf(utf8(JSON.stringify([FORMAT, arrivals, rows])))
}

/** The place that a cursor names; null where it is none of a query with so many shards. */
export function readPlace(cursor: string, shards: number): ViewerPlace | null {
  if (cursor.length > MAX_SHARDS * 40) return null
  const parsed = valueOfText(textOf(bytesOfBase64Url(cursor) ?? utf8('')))
  if (!Array.isArray(parsed)) return null
  const [format, arrivals, rows] = parsed as unknown[]
  const isPlace = format === FORMAT && areCounts(arrivals, shards) && areCounts(rows, shards)
  return isPlace ? { arrivals: arrivals as number[], rows: rows as number[] } : null
}

function areCounts(list: unknown, length: number): boolean {
  const isCount = (item: unknown) => typeof item === 'number' && Number.isSafeInteger(item) && item >= 0
  return Array.isArray(list) && list.length === length && list.every(isCount)
}
