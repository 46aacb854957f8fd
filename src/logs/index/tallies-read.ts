/** What compaction counted, for operators. */

import type { IndexedRow } from '../archive-object.ts'
import type { LineType } from '../line.ts'
import type { Progress } from '../progress.ts'
import type { ByteRange } from './directory.ts'
import { COLUMNS, Narrowing, topSequence, visibleAt, type ObjectRow } from './objects.ts'
import { partOf } from './parts.ts'
import type { SnapshotPlace, Volume } from './tallies.ts'

const HOUR_MS = 60 * 60_000
const SUMS = -1

/** A part of a day's volumes as it is stored: by node, then by name. Parsed by who asked: this object serves all. */
export interface VolumePart {
  day: string
  type: LineType
  tally: string
}

/** What a tally says. */
export type VolumeTally = Record<string, Record<string, Volume>>

interface StoredVolume extends Record<string, SqlStorageValue> {
  day: string
  type: string
  part: number
  tally: string
}

/** The sums over all nodes (under an empty node id), of the days from one to another. */
export function volumeSums(sql: SqlStorage, fromDay: string, throughDay: string): VolumePart[] {
  return sql
    .exec<StoredVolume>(
      'SELECT * FROM volumes WHERE part = ? AND day BETWEEN ? AND ? ORDER BY day, type',
      SUMS,
      fromDay,
      throughDay,
    )
    .toArray()
    .map(({ day, type, tally }) => ({ day, type: type as LineType, tally }))
}

/** Volumes of a day, from a part on. */
export function volumeParts(sql: SqlStorage, day: string, fromPart: number, limit: number): VolumePart[] {
  return sql
    .exec<StoredVolume>(
      'SELECT * FROM volumes WHERE day = ? AND part >= ? AND part < ? ORDER BY part, type',
      day,
      fromPart,
      fromPart + limit,
    )
    .toArray()
    .map(({ type, tally }) => ({ day, type: type as LineType, tally }))
}

/** When the oldest hour began that has raw objects yet. */
export function countedThrough(sql: SqlStorage): number | null {
  const { hour } = sql
    .exec<{ hour: string | null }>(
      'SELECT MIN(hour) AS hour FROM objects WHERE level = 0 AND replaced IS NULL AND missing_ms IS NULL',
    )
    .one()
  return hour === null ? null : Date.parse(`${hour}:00:00Z`)
}

export interface FindingsQuery {
  nodeId: string | null
  name: string | null
  kind: string | null
  /** Before this number; null: from the newest. */
  before: number | null
  limit: number
}

export interface FindingRow {
  id: number
  kind: string
  nodeId: string
  name: string
  epoch: number
  from: number | null
  to: number | null
  afterMs: number | null
  beforeMs: number
}

/** Newest first. */
export function findFindings(sql: SqlStorage, query: FindingsQuery): FindingRow[] {
  return sql
    .exec<Record<string, SqlStorageValue>>(
      `SELECT id, kind, node AS nodeId, name, epoch, from_counter AS "from", to_counter AS "to",
         after_ms AS afterMs, before_ms AS beforeMs
       FROM gaps WHERE (?1 IS NULL OR node = ?1) AND (?2 IS NULL OR name = ?2) AND (?3 IS NULL OR kind = ?3)
         AND (?4 IS NULL OR id < ?4) ORDER BY id DESC LIMIT ?5`,
      query.nodeId,
      query.name,
      query.kind,
      query.before,
      query.limit,
    )
    .toArray() as unknown as FindingRow[]
}

export interface NamedProgress extends Progress {
  name: string
}

export function progressOf(sql: SqlStorage, nodeId: string): NamedProgress[] {
  const [row] = sql
    .exec<{ state: string }>('SELECT state FROM progress WHERE part = ?', partOf(nodeId))
    .toArray()
  const names = row === undefined ? undefined : (JSON.parse(row.state) as Record<string, object>)[nodeId]
  return Object.entries(names ?? {})
    .map(([name, progress]) => ({ ...(progress as Progress), name }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

export interface NodePlace extends SnapshotPlace {
  nodeId: string
}

/** In the order of node ids, after one. */
export function latestPlaces(sql: SqlStorage, name: string, afterNode: string, limit: number): NodePlace[] {
  const places: NodePlace[] = []
  const cursor = sql.exec<{ state: string }>('SELECT state FROM latest WHERE name = ?', name)
  for (const { state } of cursor) {
    for (const [nodeId, place] of Object.entries(JSON.parse(state) as Record<string, SnapshotPlace>)) {
      if (nodeId > afterNode) places.push({ ...place, nodeId })
    }
  }
  return places.sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1)).slice(0, limit)
}

/** Objects that hold snapshots of these nodes at these times, each with the ranges to read. */
export function findAt(sql: SqlStorage, name: string, places: readonly NodePlace[]): IndexedRow[] {
  const top = topSequence(sql)
  const found = new Map<number, { row: IndexedRow; ranges: ByteRange[] | null }>()
  for (const { nodeId, atMs } of places) {
    const narrow = new Narrowing(sql, { nodeId, name })
    // An object has lines of one hour, so this looks at few.
    const rows = sql.exec<ObjectRow>(
      `SELECT ${COLUMNS} FROM objects
       WHERE last_ms >= ?1 AND last_ms < ?2 AND first_ms <= ?1 AND type = 'snapshot' AND ${visibleAt('?3')}`,
      atMs,
      atMs + HOUR_MS,
      top,
    )
    for (const row of rows) {
      const narrowed = narrow.look(row)
      if (narrowed === null) continue
      const known = found.get(row.sequence)
      if (known === undefined) {
        found.set(row.sequence, {
          row: narrowed,
          ranges: narrowed.ranges === null ? null : [...narrowed.ranges],
        })
      } else if (narrowed.ranges !== null) known.ranges?.push(...narrowed.ranges)
    }
  }
  return [...found.values()].map(({ row, ranges }) => ({
    ...row,
    ranges: ranges === null ? null : joined(ranges),
  }))
}

/** Ranges of one object, each once, neighbours and overlaps joined. */
function joined(ranges: readonly ByteRange[]): ByteRange[] {
  const result: ByteRange[] = []
  for (const { offset, length } of [...ranges].sort((a, b) => a.offset - b.offset)) {
    const last = result.at(-1)
    if (last !== undefined && offset <= last.offset + last.length) {
      last.length = Math.max(last.length, offset + length - last.offset)
    } else result.push({ offset, length })
  }
  return result
}
