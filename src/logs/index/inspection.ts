/**
 * The weekly inspection: what lies in R2 against what the index knows. It goes through the keys in their order, a
 * listing at a time, and remembers where it is.
 */

import { RETENTION_CLASSES } from '../retention.ts'

const WEEK_MS = 7 * 24 * 60 * 60_000
/** Younger objects are on their way into the index, younger rows may be newer than a listing. */
export const LEFT_ALONE_MS = 60 * 60_000

export interface InspectionWork {
  /** Which prefix, and the last key that was looked at there; null: from its beginning. */
  prefixNumber: number
  afterKey: string | null
}

export interface Inspection {
  startedMs: number | null
  finishedMs: number | null
  /** Objects that were seen. */
  seen: number
  /** Objects that the index did not know, and how many of them it knows now. */
  orphans: number
  healed: number
  /** Rows whose object is not there. */
  missing: number
}

export type InspectedCounts = Pick<Inspection, 'seen' | 'orphans' | 'healed' | 'missing'>

/** Every key under a prefix after one and through another (null: to the end). */
export interface Listing {
  prefix: string
  afterKey: string | null
  throughKey: string | null
  keys: readonly string[]
}

export interface Compared {
  orphans: string[]
  missing: { sequence: number; key: string }[]
}

/** Where an environment's objects lie, one prefix for each class of retention, in the order of keys. */
export function archivePrefixes(environmentId: string): string[] {
  return RETENTION_CLASSES.map((days) => `logs/r${days}/environment=${environmentId}/`)
}

interface InspectionRow extends Record<string, SqlStorageValue> {
  started_ms: number | null
  finished_ms: number | null
  cursor: string | null
  seen: number | null
  orphans: number | null
  healed: number | null
  missing: number | null
}

function stored(sql: SqlStorage): InspectionRow {
  return sql.exec<InspectionRow>('SELECT * FROM inspection').one()
}

/** Begins one, unless one is under way. */
export function beginInspection(sql: SqlStorage, nowMs: number): void {
  sql.exec(
    `UPDATE inspection SET started_ms = ?, finished_ms = NULL, cursor = ?, seen = 0, orphans = 0, healed = 0,
       missing = 0 WHERE cursor IS NULL`,
    nowMs,
    JSON.stringify({ prefixNumber: 0, afterKey: null } satisfies InspectionWork),
  )
}

/** The next piece of an inspection; begins one when a week has passed. */
export function nextInspection(sql: SqlStorage, nowMs: number): InspectionWork | null {
  const row = stored(sql)
  if (row.cursor === null) {
    const [oldest] = sql
      .exec<{ added_ms: number }>('SELECT added_ms FROM objects ORDER BY sequence LIMIT 1')
      .toArray()
    const sinceMs = row.started_ms ?? oldest?.added_ms
    if (sinceMs === undefined || nowMs - sinceMs < WEEK_MS) return null
    beginInspection(sql, nowMs)
  }
  const { cursor } = stored(sql)
  return cursor === null ? null : (JSON.parse(cursor) as InspectionWork)
}

/** Compares a listing with the rows. */
export function compareKeys(sql: SqlStorage, listing: Listing, nowMs: number): Compared {
  const { prefix, afterKey, throughKey, keys } = listing
  const list = JSON.stringify(keys)
  const orphans = sql
    .exec<{ key: string }>(
      `SELECT value AS key FROM json_each(?) WHERE value NOT IN (SELECT key FROM objects)
         AND value NOT IN (SELECT key FROM garbage)`,
      list,
    )
    .toArray()
  const missing = sql
    .exec<{ sequence: number; key: string }>(
      `SELECT sequence, key FROM objects
       WHERE key > ?1 AND key <= ?2 AND added_ms <= ?3 AND missing_ms IS NULL
         AND key NOT IN (SELECT value FROM json_each(?4))`,
      afterKey ?? prefix,
      throughKey ?? `${prefix}\u{10ffff}`,
      nowMs - LEFT_ALONE_MS,
      list,
    )
    .toArray()
  return { orphans: orphans.map(({ key }) => key), missing }
}

/** Notes what a piece found, and where to go on (null: it is finished). */
export function noteInspected(
  sql: SqlStorage,
  found: InspectedCounts,
  next: InspectionWork | null,
  nowMs: number,
): void {
  sql.exec(
    `UPDATE inspection SET seen = seen + ?, orphans = orphans + ?, healed = healed + ?, missing = missing + ?,
       cursor = ?, finished_ms = ?`,
    found.seen,
    found.orphans,
    found.healed,
    found.missing,
    next === null ? null : JSON.stringify(next),
    next === null ? nowMs : null,
  )
}

export function lastInspection(sql: SqlStorage): Inspection {
  const row = stored(sql)
  return {
    startedMs: row.started_ms,
    finishedMs: row.finished_ms,
    seen: row.seen ?? 0,
    orphans: row.orphans ?? 0,
    healed: row.healed ?? 0,
    missing: row.missing ?? 0,
  }
}
