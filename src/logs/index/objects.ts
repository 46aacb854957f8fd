/** The rows of objects: taken up, found again. Who sees a row depends on when the reader began (see `visibleAt`). */

import type { LineType } from '../line.ts'
import { retentionDaysOfKey, type ArchiveRow, type IndexedRow } from '../archive-object.ts'
import { nameMatcher, type NameMatcher } from '../name-glob.ts'
import { hasNode, rangesOf } from './directory.ts'
import { recentErasures, type ErasedLines } from './erased.ts'

export const COLUMNS =
  'sequence, key, type, hour, bytes, line_bytes, lines, first_ms, last_ms, nodes, names, level'
/** Rows that one call looks at, so that a rare name in a long archive does not hold the object for long. */
const MAX_EXAMINED = 5_000
const END_OF_TIME_MS = 1e15

/**
 * A reader sees the archive as it was when its first page was read: at sequence ?m. What a swap made is seen by those
 * who began after it, what it replaced by those who began before. When the replaced rows go, `seen_from` lets those see
 * the new ones who saw the old ones (retire in compaction.ts). Rows whose object is not there are nobody's.
 */
export function visibleAt(parameter: string): string {
  return (
    `missing_ms IS NULL AND COALESCE(seen_from, sequence) <= ${parameter} ` +
    `AND (replaced IS NULL OR replaced > ${parameter})`
  )
}

/** A place in the order of objects by (lastMs, sequence). */
export interface ArchivePosition {
  lastMs: number
  sequence: number
}

export interface ArchiveQuery {
  types: readonly LineType[]
  /** Objects with something received in [sinceMs, untilMs). */
  sinceMs: number
  untilMs: number
  nodeId: string | null
  /** A name, or a pattern with `*`. */
  name: string | null
  /** The archive as it was at this sequence; null: as it is. */
  maxSequence: number | null
  /** Go on after this one; null: from the newest. */
  after: ArchivePosition | null
  limit: number
}

export interface ArchiveFound {
  rows: IndexedRow[]
  /** Where to go on; null where there is no more. */
  next: ArchivePosition | null
  /** The highest sequence there is. */
  maxSequence: number
  /** Lines that may still be in there but are as good as gone. */
  erased: ErasedLines[]
}

export interface ObjectRow extends Record<string, SqlStorageValue> {
  sequence: number
  key: string
  type: string
  hour: string
  bytes: number
  line_bytes: number
  lines: number
  first_ms: number
  last_ms: number
  nodes: string | null
  names: string | null
  level: number
}

/** Takes rows up. An object that is known already keeps its sequence, and what became of it. */
export function addObjects(sql: SqlStorage, rows: readonly ArchiveRow[], nowMs: number): void {
  for (const row of rows) {
    const { sequence } = sql
      .exec<{ sequence: number }>(
        `INSERT INTO objects (key, type, hour, bytes, line_bytes, lines, first_ms, last_ms, nodes, names, added_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
         ON CONFLICT (key) DO UPDATE SET bytes = ?4, line_bytes = ?5, lines = ?6, first_ms = ?7, last_ms = ?8,
           nodes = ?9, names = ?10, added_ms = ?11, missing_ms = NULL
         RETURNING sequence`,
        row.key,
        row.type,
        row.hour,
        row.bytes,
        row.lineBytes,
        row.lines,
        row.firstMs,
        row.lastMs,
        row.nodes === null ? null : JSON.stringify(row.nodes),
        row.names === null ? null : JSON.stringify(row.names),
        nowMs,
      )
      .one()
    putIds(sql, sequence, row.ids)
    sql.exec('DELETE FROM garbage WHERE key = ?', row.key)
  }
}

/** Keeps the prefixes of an object's event ids; null: not known. */
export function putIds(sql: SqlStorage, sequence: number, ids: Uint8Array | null): void {
  if (ids === null) sql.exec('DELETE FROM line_ids WHERE sequence = ?', sequence)
  else sql.exec('INSERT OR REPLACE INTO line_ids (sequence, ids) VALUES (?, ?)', sequence, ids)
}

/** The highest sequence there is: of rows and of swaps. */
export function topSequence(sql: SqlStorage): number {
  return sql
    .exec<{ top: number }>(
      `SELECT MAX(COALESCE((SELECT MAX(sequence) FROM objects), 0),
                  COALESCE((SELECT MAX(replaced) FROM objects WHERE replaced IS NOT NULL), 0)) AS top`,
    )
    .one().top
}

/** Objects that may hold what is asked for, newest first. Looks at a bounded number of rows. */
export function findObjects(sql: SqlStorage, query: ArchiveQuery): ArchiveFound {
  const top = topSequence(sql)
  const start = query.after ?? { lastMs: END_OF_TIME_MS, sequence: 0 }
  const cursor = sql.exec<ObjectRow>(
    `SELECT ${COLUMNS} FROM objects
     WHERE (last_ms, sequence) < (?1, ?2) AND last_ms >= ?3 AND first_ms < ?4
       AND ${visibleAt('?5')} AND type IN (SELECT value FROM json_each(?6))
     ORDER BY last_ms DESC, sequence DESC`,
    start.lastMs,
    start.sequence,
    query.sinceMs,
    query.untilMs,
    query.maxSequence ?? top,
    JSON.stringify(query.types),
  )
  const erased = recentErasures(sql, Date.now())
  const narrow = new Narrowing(sql, query)
  const rows: IndexedRow[] = []
  let examined = 0
  for (const row of cursor) {
    examined += 1
    const found = narrow.look(row)
    if (found !== null) rows.push(found)
    if (rows.length >= query.limit || examined >= MAX_EXAMINED) {
      return { rows, next: { lastMs: row.last_ms, sequence: row.sequence }, maxSequence: top, erased }
    }
  }
  return { rows, next: null, maxSequence: top, erased }
}

/** What of a row a search has to read. */
export class Narrowing {
  readonly #sql: SqlStorage
  readonly #nodeId: string | null
  readonly #matchesName: NameMatcher

  constructor(sql: SqlStorage, { nodeId, name }: Pick<ArchiveQuery, 'nodeId' | 'name'>) {
    this.#sql = sql
    this.#nodeId = nodeId
    this.#matchesName = nameMatcher(name)
  }

  /** The row with the ranges to read, or null where it cannot hold what is asked for. */
  look(row: ObjectRow): IndexedRow | null {
    const nodeId = this.#nodeId
    const indexed = indexedRow(row)
    if (nodeId !== null && indexed.nodes !== null && !indexed.nodes.includes(nodeId)) return null
    if (indexed.names !== null && !indexed.names.some(this.#matchesName)) return null
    if (!indexed.compacted) return indexed
    const [blocks] = this.#sql
      .exec<{ directory: string; nodes: ArrayBuffer }>(
        'SELECT directory, nodes FROM blocks WHERE sequence = ?',
        row.sequence,
      )
      .toArray()
    if (blocks === undefined) return indexed
    if (nodeId !== null && !hasNode(blocks.nodes, nodeId)) return null
    const ranges = rangesOf(blocks.directory, { nodeId, matchesName: this.#matchesName })
    return ranges.length === 0 ? null : { ...indexed, ranges }
  }
}

export function indexedRow(row: ObjectRow): IndexedRow {
  return {
    sequence: row.sequence,
    key: row.key,
    type: row.type as LineType,
    hour: row.hour,
    retentionDays: retentionDaysOfKey(row.key),
    bytes: row.bytes,
    lineBytes: row.line_bytes,
    lines: row.lines,
    firstMs: row.first_ms,
    lastMs: row.last_ms,
    nodes: row.nodes === null ? null : (JSON.parse(row.nodes) as string[]),
    names: row.names === null ? null : (JSON.parse(row.names) as string[]),
    compacted: row.level > 0,
    ranges: null,
  }
}

/** Forgets rows and all that belongs to them. */
export function forgetObjects(sql: SqlStorage, sequences: readonly number[]): void {
  const list = JSON.stringify(sequences)
  for (const table of ['objects', 'line_ids', 'blocks']) {
    sql.exec(`DELETE FROM ${table} WHERE sequence IN (SELECT value FROM json_each(?))`, list)
  }
}

/** Forgets objects by key. */
export function forgetKeys(sql: SqlStorage, keys: readonly string[]): void {
  const found = sql.exec<{ sequence: number }>(
    'SELECT sequence FROM objects WHERE key IN (SELECT value FROM json_each(?))',
    JSON.stringify(keys),
  )
  forgetObjects(
    sql,
    found.toArray().map(({ sequence }) => sequence),
  )
}

/** Forgets the objects under a prefix (a GLOB pattern) whose lines were all received before that time. */
export function forgetOlder(sql: SqlStorage, keyPattern: string, beforeMs: number): void {
  const found = sql.exec<{ sequence: number }>(
    'SELECT sequence FROM objects WHERE last_ms < ? AND key GLOB ?',
    beforeMs,
    keyPattern,
  )
  forgetObjects(
    sql,
    found.toArray().map(({ sequence }) => sequence),
  )
}

/** One object by its sequence; null where there is none. */
export function objectAt(sql: SqlStorage, sequence: number): IndexedRow | null {
  const [row] = sql.exec<ObjectRow>(`SELECT ${COLUMNS} FROM objects WHERE sequence = ?`, sequence).toArray()
  return row === undefined ? null : indexedRow(row)
}
