/**
 * What compaction needs of the index: which objects to take next, the swap in one transaction, and when what was
 * replaced may go. One worker at a time holds the lease of an environment.
 */

import type { ArchiveRow, IndexedRow } from '../archive-object.ts'
import { COLUMNS, indexedRow, putIds, topSequence, type ObjectRow } from './objects.ts'

const HOUR_MS = 60 * 60_000
/** An hour is left alone this long after its end, and after its last object came: the consumer may be behind. */
export const SETTLE_MS = 10 * 60_000
/** After this time nothing is waited for: what comes later is compacted later. */
const SETTLED_ANYWAY_MS = 6 * HOUR_MS
/** Inflated bytes of one step: it holds them all, in an isolate of 128 MB. */
export const MAX_STEP_BYTES = 32 * 1_024 * 1_024
/** Down to an object at a time. */
const MAX_HALVINGS = 5
/** Objects of one step: a consumer may make 10,000 calls (Workers limits). */
const MAX_STEP_OBJECTS = 1_000
/** Replaced objects are kept this long, so that whoever is reading them comes to the end. */
export const KEEP_REPLACED_MS = HOUR_MS
/** A step is over long before; a worker that died holds nobody up for longer. */
const LEASE_MS = 5 * 60_000
/** What a step was going to write and never swapped in is deleted after this. */
const ABANDONED_AFTER_MS = 24 * HOUR_MS
const MAX_GARBAGE_AT_ONCE = 1_000

/** An object that a step made. */
export interface OutputRow extends ArchiveRow {
  directory: string
  nodePrefixes: Uint8Array
}

export interface Swap {
  sources: readonly number[]
  outputs: readonly OutputRow[]
}

interface Group extends Record<string, SqlStorageValue> {
  hour: string
  type: string
  retention: string
  lines_bytes: number
}

/**
 * Takes the lease of an environment's work; null where somebody has it. A lease that ended without being given back
 * tells of a worker that died: of memory or of time, so the next one takes less.
 */
export function takeLease(sql: SqlStorage, nowMs: number): string | null {
  const token = crypto.randomUUID()
  sql.exec(
    `UPDATE work SET token = NULL, deaths = deaths + 1, failures = failures + 1, last_failed_ms = ?1,
       last_failure = 'died' WHERE token IS NOT NULL AND until_ms < ?1`,
    nowMs,
  )
  const taken = sql.exec(
    'UPDATE work SET token = ?1, until_ms = ?2, last_started_ms = ?3 WHERE until_ms < ?3',
    token,
    nowMs + LEASE_MS,
    nowMs,
  )
  return taken.rowsWritten > 0 ? token : null
}

/** Whether this is still the lease. */
export function holdsLease(sql: SqlStorage, token: string): boolean {
  return sql.exec<{ token: string | null }>('SELECT token FROM work').one().token === token
}

/** Gives the lease back; a failure is remembered for operators. */
export function endLease(sql: SqlStorage, token: string, failure: string | null, nowMs: number): void {
  sql.exec('UPDATE work SET token = NULL, until_ms = 0 WHERE token = ?', token)
  if (failure === null) return
  sql.exec('UPDATE work SET failures = failures + 1, last_failed_ms = ?, last_failure = ?', nowMs, failure)
}

/** The raw objects that make the next compacted one, oldest hour first and in the order of time; none where all is done. */
export function nextSources(sql: SqlStorage, nowMs: number): IndexedRow[] {
  const { deaths } = sql.exec<{ deaths: number }>('SELECT deaths FROM work').one()
  const maxBytes = MAX_STEP_BYTES / 2 ** Math.min(deaths, MAX_HALVINGS)
  const [group] = sql
    .exec<Group>(
      `SELECT hour, type, substr(key, 1, instr(key, '/environment=')) AS retention, SUM(line_bytes) AS lines_bytes
       FROM objects WHERE level = 0 AND replaced IS NULL AND missing_ms IS NULL AND hour <= ?1
       GROUP BY hour, type, retention
       HAVING hour <= ?2 OR MAX(added_ms) <= ?3 OR SUM(line_bytes) >= ?4
       ORDER BY hour, type LIMIT 1`,
      overHour(nowMs - SETTLE_MS),
      overHour(nowMs - SETTLED_ANYWAY_MS),
      nowMs - SETTLE_MS,
      MAX_STEP_BYTES,
    )
    .toArray()
  if (group === undefined) return []
  // Even shares, so that an hour does not end in a crumb.
  const shareBytes = group.lines_bytes / Math.ceil(group.lines_bytes / maxBytes)
  const sources: IndexedRow[] = []
  let bytes = 0
  const rows = sql.exec<ObjectRow>(
    `SELECT ${COLUMNS} FROM objects
     WHERE level = 0 AND replaced IS NULL AND missing_ms IS NULL AND hour = ? AND type = ?
       AND substr(key, 1, instr(key, '/environment=')) = ?
     ORDER BY first_ms, sequence LIMIT ?`,
    group.hour,
    group.type,
    group.retention,
    MAX_STEP_OBJECTS,
  )
  for (const row of rows) {
    if (sources.length > 0 && (bytes >= shareBytes || bytes + row.line_bytes > maxBytes)) break
    bytes += row.line_bytes
    sources.push(indexedRow(row))
  }
  return sources
}

/** The newest hour that was over at that time. */
function overHour(timeMs: number): string {
  return new Date(timeMs - HOUR_MS).toISOString().slice(0, 13)
}

/** Says which object is going to be written: should it never be swapped in, it is deleted some day. */
export function reserveKey(sql: SqlStorage, key: string, nowMs: number): void {
  sql.exec('INSERT OR REPLACE INTO garbage (key, due_ms) VALUES (?, ?)', key, nowMs + ABANDONED_AFTER_MS)
}

/**
 * Puts the outputs in the place of their sources: call it inside a transaction. False, and nothing is changed, where a
 * source has become something else.
 */
export function swapObjects(sql: SqlStorage, { sources, outputs }: Swap, nowMs: number): boolean {
  const list = JSON.stringify(sources)
  const { live } = sql
    .exec<{ live: number }>(
      `SELECT COUNT(*) AS live FROM objects
       WHERE sequence IN (SELECT value FROM json_each(?)) AND replaced IS NULL`,
      list,
    )
    .one()
  if (live !== sources.length) return false
  const swap = raiseSequence(sql)
  for (const output of outputs) insertOutput(sql, output, swap, nowMs)
  sql.exec(
    'UPDATE objects SET replaced = ?, replaced_ms = ? WHERE sequence IN (SELECT value FROM json_each(?))',
    swap,
    nowMs,
    list,
  )
  sql.exec('UPDATE work SET last_swap_ms = ?, deaths = 0', nowMs)
  return true
}

/** Uses up a sequence: the name of a swap. Everything that it makes has a higher one. */
function raiseSequence(sql: SqlStorage): number {
  const { sequence } = sql
    .exec<{ sequence: number }>(
      `INSERT INTO objects (key, type, hour, bytes, line_bytes, lines, first_ms, last_ms)
       VALUES ('swap', '', '', 0, 0, 0, 0, 0) RETURNING sequence`,
    )
    .one()
  sql.exec('DELETE FROM objects WHERE sequence = ?', sequence)
  return sequence
}

function insertOutput(sql: SqlStorage, row: OutputRow, swap: number, nowMs: number): void {
  const { sequence } = sql
    .exec<{ sequence: number }>(
      `INSERT INTO objects (key, type, hour, bytes, line_bytes, lines, first_ms, last_ms, nodes, names, level,
         added_ms, swap, seen_from)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?) RETURNING sequence`,
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
      swap,
      swap,
    )
    .one()
  putIds(sql, sequence, row.ids)
  sql.exec(
    'INSERT OR REPLACE INTO blocks (sequence, directory, nodes) VALUES (?, ?, ?)',
    sequence,
    row.directory,
    row.nodePrefixes,
  )
  sql.exec('DELETE FROM garbage WHERE key = ?', row.key)
}

interface Retirable extends Record<string, SqlStorageValue> {
  swap: number
  seen_from: number
}

/**
 * Lets go of what was replaced an hour ago and what every follower has passed: their rows go, their objects become
 * garbage, and who saw them sees the new ones. Call it inside a transaction.
 */
export function retire(sql: SqlStorage, nowMs: number): void {
  const swaps = sql
    .exec<Retirable>(
      `SELECT replaced AS swap, MIN(COALESCE(seen_from, sequence)) AS seen_from
       FROM objects AS old WHERE replaced IS NOT NULL
       GROUP BY replaced
       HAVING MAX(replaced_ms) <= ?
         AND COALESCE(MAX(CASE WHEN level = 0 THEN sequence END), 0)
           <= COALESCE((SELECT MIN(position) FROM followers), ?)
         AND MAX(swap IS NOT NULL AND swap IN (SELECT replaced FROM objects WHERE replaced IS NOT NULL)) = 0`,
      nowMs - KEEP_REPLACED_MS,
      Number.MAX_SAFE_INTEGER,
    )
    .toArray()
  for (const { swap, seen_from: seenFrom } of swaps) {
    sql.exec('UPDATE objects SET seen_from = MIN(seen_from, ?) WHERE swap = ?', seenFrom, swap)
    sql.exec('INSERT OR REPLACE INTO garbage SELECT key, ? FROM objects WHERE replaced = ?', nowMs, swap)
    sql.exec('DELETE FROM line_ids WHERE sequence IN (SELECT sequence FROM objects WHERE replaced = ?)', swap)
    sql.exec('DELETE FROM blocks WHERE sequence IN (SELECT sequence FROM objects WHERE replaced = ?)', swap)
    sql.exec('DELETE FROM objects WHERE replaced = ?', swap)
  }
}

/** Objects to be deleted now. */
export function dueGarbage(sql: SqlStorage, nowMs: number): string[] {
  return sql
    .exec<{ key: string }>('SELECT key FROM garbage WHERE due_ms <= ? LIMIT ?', nowMs, MAX_GARBAGE_AT_ONCE)
    .toArray()
    .map(({ key }) => key)
}

export function forgetGarbage(sql: SqlStorage, keys: readonly string[]): void {
  sql.exec('DELETE FROM garbage WHERE key IN (SELECT value FROM json_each(?))', JSON.stringify(keys))
}

/**
 * Remembers that objects of the index are not there, or no gzip: nobody looks for them again, and operators see the
 * number. False where the index does not know them (any more).
 */
export function markMissing(
  sql: SqlStorage,
  rows: readonly Pick<IndexedRow, 'sequence' | 'key'>[],
  nowMs: number,
): boolean {
  let marked = 0
  for (const { sequence, key } of rows) {
    // By key too: the object of a row may have become another one meanwhile.
    marked += sql
      .exec(
        'UPDATE objects SET missing_ms = COALESCE(missing_ms, ?) WHERE sequence = ? AND key = ? RETURNING sequence',
        nowMs,
        sequence,
        key,
      )
      .toArray().length
  }
  return marked === rows.length
}

/** How far compaction is, in figures that cost one look at an index. */
export interface CompactionHealth {
  rawObjects: number
  rawBytes: number
  /** `yyyy-mm-ddThh`. */
  oldestRawHour: string | null
  compactedObjects: number
  replacedObjects: number
  missingObjects: number
  garbage: number
  lastStartedMs: number | null
  lastSwapMs: number | null
  failures: number
  lastFailedMs: number | null
  lastFailure: string | null
  topSequence: number
}

export function compactionHealth(sql: SqlStorage): CompactionHealth {
  const row = sql
    .exec<Record<string, number | string | null>>(
      `SELECT
         (SELECT COUNT(*) FROM objects WHERE level = 0 AND replaced IS NULL) AS rawObjects,
         (SELECT COALESCE(SUM(bytes), 0) FROM objects WHERE level = 0 AND replaced IS NULL) AS rawBytes,
         (SELECT MIN(hour) FROM objects WHERE level = 0 AND replaced IS NULL) AS oldestRawHour,
         (SELECT COUNT(*) FROM blocks) AS compactedObjects,
         (SELECT COUNT(*) FROM objects WHERE replaced IS NOT NULL) AS replacedObjects,
         (SELECT COUNT(*) FROM objects WHERE missing_ms IS NOT NULL) AS missingObjects,
         (SELECT COUNT(*) FROM garbage) AS garbage,
         last_started_ms AS lastStartedMs, last_swap_ms AS lastSwapMs, failures,
         last_failed_ms AS lastFailedMs, last_failure AS lastFailure
       FROM work`,
    )
    .one()
  return { ...(row as unknown as CompactionHealth), topSequence: topSequence(sql) }
}
