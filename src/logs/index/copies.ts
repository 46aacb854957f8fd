/** Where else lines lie: agents send again, and a batch of the queue may come twice. */

import type { Bytes } from '../../lib/bytes.ts'
import type { IndexedRow } from '../archive-object.ts'
import { PrefixSearch } from '../id-prefixes.ts'
import { COLUMNS, indexedRow, Narrowing, visibleAt, type ArchiveQuery, type ObjectRow } from './objects.ts'

/** What one look for copies goes over: it holds the object for some 100 ms. */
const MAX_SEARCHED_ROWS = 20_000
const MAX_SEARCHED_BYTES = 64 * 1_024 * 1_024
/** Objects that one look for copies may ask its caller to read. */
const MAX_UNSURE = 60

export interface CopiesQuery extends Pick<
  ArchiveQuery,
  'types' | 'nodeId' | 'name' | 'untilMs' | 'maxSequence'
> {
  /** Only objects whose lines were all received after this. */
  startsAfterMs: number
}

export interface CopiesFound {
  /** Which of the lines asked about lie in such an object too, and in the range: places in the list, from 0. */
  copied: number[]
  /** Objects that have to be read to know: of no known ids, or with a copy and only in part in the range. */
  unsure: IndexedRow[]
}

/**
 * Which lines, given by the prefixes of their event ids, have copies in newer objects. Looks at the nearest of
 * those first, and at a bounded number: agents send again within hours.
 */
export function findCopies(sql: SqlStorage, prefixes: Bytes, query: CopiesQuery): CopiesFound {
  const search = new PrefixSearch(prefixes)
  const cursor = sql.exec<{ sequence: number; last_ms: number; ids: ArrayBuffer | null }>(
    `SELECT sequence, last_ms, ids FROM objects LEFT JOIN line_ids USING (sequence)
     WHERE last_ms > ?1 AND first_ms > ?1 AND first_ms < ?2 AND ${visibleAt('?3')}
       AND type IN (SELECT value FROM json_each(?4))
     ORDER BY last_ms, sequence LIMIT ?5`,
    query.startsAfterMs,
    query.untilMs,
    query.maxSequence ?? Number.MAX_SAFE_INTEGER,
    JSON.stringify(query.types),
    MAX_SEARCHED_ROWS,
  )
  const copied = new Set<number>()
  const unsure: number[] = []
  let searchedBytes = 0
  for (const { sequence, last_ms: lastMs, ids } of cursor) {
    const found = ids === null ? null : search.find(ids)
    if (found === null || (found.length > 0 && lastMs >= query.untilMs)) unsure.push(sequence)
    else for (const at of found) copied.add(at)
    searchedBytes += ids?.byteLength ?? 0
    if (searchedBytes >= MAX_SEARCHED_BYTES) break
  }
  return { copied: [...copied], unsure: rowsThatMayHold(sql, unsure, query) }
}

/** Of these objects the first that may hold lines of a node and a name. */
function rowsThatMayHold(sql: SqlStorage, sequences: readonly number[], query: CopiesQuery): IndexedRow[] {
  const narrow = new Narrowing(sql, query)
  const rows: IndexedRow[] = []
  for (const sequence of sequences) {
    const row = narrow.look(
      sql.exec<ObjectRow>(`SELECT ${COLUMNS} FROM objects WHERE sequence = ?`, sequence).one(),
    )
    if (row !== null) rows.push(row)
    if (rows.length >= MAX_UNSURE) break
  }
  return rows
}

/** How many bytes of ids the look back goes over: some hours of 10,000 nodes, months of a hundred. */
const MAX_BYTES_BACK = 32 * 1_024 * 1_024

export interface SharedQuery {
  /** What is being compacted. */
  sources: readonly number[]
  type: string
  firstMs: number
}

export interface SharedIds {
  row: IndexedRow
  /** Places in the list of prefixes. */
  places: number[]
}

/** Objects outside of a compaction's sources that share ids with them: newer ones of any kind, compacted ones of before. */
export function findShared(sql: SqlStorage, prefixes: Bytes, query: SharedQuery): SharedIds[] {
  const search = new PrefixSearch(prefixes)
  const sources = new Set(query.sources)
  const found: { sequence: number; places: number[] }[] = []
  function look(where: string, order: string, maxBytes: number): void {
    const cursor = sql.exec<{ sequence: number; ids: ArrayBuffer }>(
      `SELECT sequence, ids FROM objects JOIN line_ids USING (sequence)
       WHERE ${where} AND replaced IS NULL AND missing_ms IS NULL AND type = ?
       ORDER BY last_ms ${order}, sequence ${order} LIMIT ?`,
      query.firstMs,
      query.type,
      MAX_SEARCHED_ROWS,
    )
    let searchedBytes = 0
    for (const { sequence, ids } of cursor) {
      if (sources.has(sequence)) continue
      const places = search.find(ids)
      if (places.length > 0) found.push({ sequence, places })
      searchedBytes += ids.byteLength
      if (searchedBytes >= maxBytes || found.length >= MAX_UNSURE) break
    }
  }
  look('last_ms >= ?', 'ASC', MAX_SEARCHED_BYTES)
  look('last_ms < ? AND level = 1', 'DESC', MAX_BYTES_BACK)
  return found.map(({ sequence, places }) => ({
    row: indexedRow(sql.exec<ObjectRow>(`SELECT ${COLUMNS} FROM objects WHERE sequence = ?`, sequence).one()),
    places,
  }))
}

/** Forgets the ids of all lines but the newest, so that the index never outgrows its object. */
export function forgetIds(sql: SqlStorage, keptLines: number): void {
  sql.exec(
    `DELETE FROM line_ids WHERE sequence <=
       (SELECT MAX(sequence) FROM
         (SELECT sequence, SUM(lines) OVER (ORDER BY sequence DESC) AS newer FROM objects)
        WHERE newer > ?)`,
    keptLines,
  )
}
