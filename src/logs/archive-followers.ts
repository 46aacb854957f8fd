/**
 * Who reads the archive as it grows: sinks and tails, each with a cursor over the raw objects. An object that was
 * compacted stays until every follower has passed it, and what compaction makes is never given to one.
 */

import type { IndexedRow } from './archive-object.ts'
import { recentErasures, type ErasedLines } from './index/erased.ts'
import { COLUMNS, indexedRow, type ObjectRow } from './index/objects.ts'
import type { LineType } from './line.ts'

export type FollowerKind = 'sink' | 'tail'

export interface Follower {
  /** Unique in its environment: a sink's UUID. */
  name: string
  kind: FollowerKind
}

export interface NextRows {
  /** Ascending by sequence. */
  rows: IndexedRow[]
  /** All that is wanted up to this sequence is in `rows`. */
  through: number
  /** Lines of them that are as good as gone. */
  erased: ErasedLines[]
}

/** What a follower has yet to read. */
export interface FollowerLag {
  objects: number
  lines: number
  /** When the oldest of it was received; null: nothing waits. */
  oldestMs: number | null
}

/** Rows that one call gives. */
export const MAX_NEXT_ROWS = 200
/** Rows that a lag is summed up over; beyond it is "at least". */
const MAX_LAG_ROWS = 50_000

/**
 * Begins to follow: from after a sequence, or from now on (null). Who follows already stays where it is. Returns the
 * sequence it has passed.
 */
export function follow(sql: SqlStorage, follower: Follower, fromSequence: number | null): number {
  const name = storedName(follower)
  const known = sql
    .exec<{ position: number }>('SELECT position FROM followers WHERE name = ?', name)
    .toArray()
  if (known[0] !== undefined) return known[0].position
  const position = fromSequence ?? lastSequence(sql)
  sql.exec('INSERT INTO followers (name, position) VALUES (?, ?)', name, position)
  return position
}

export function unfollow(sql: SqlStorage, follower: Follower): void {
  sql.exec('DELETE FROM followers WHERE name = ?', storedName(follower))
}

export function followersOf(sql: SqlStorage): Follower[] {
  return sql
    .exec<{ name: string }>('SELECT name FROM followers ORDER BY name')
    .toArray()
    .flatMap(({ name }) => {
      const [kind, rest] = [name.slice(0, name.indexOf(':')), name.slice(name.indexOf(':') + 1)]
      return kind === 'sink' || kind === 'tail' ? [{ kind, name: rest }] : []
    })
}

export interface NextQuery {
  /** Up to this sequence the follower needs nothing any more: what was compacted of it may go. */
  passed: number
  /** Rows after this sequence: a reader may be ahead of what it has done with. */
  after: number
  /** Null: all. */
  types: readonly LineType[] | null
  limit: number
}

/** The raw objects that a follower has yet to read. */
export function nextFor(
  sql: SqlStorage,
  follower: Follower,
  { passed, after, types, limit }: NextQuery,
): NextRows {
  sql.exec(
    'UPDATE followers SET position = ?2 WHERE name = ?1 AND position < ?2',
    storedName(follower),
    passed,
  )
  const most = Math.min(limit, MAX_NEXT_ROWS)
  const rows = sql
    .exec<ObjectRow>(
      `SELECT ${COLUMNS} FROM objects
       WHERE sequence > ?1 AND level = 0 AND (?2 IS NULL OR type IN (SELECT value FROM json_each(?2)))
       ORDER BY sequence LIMIT ?3`,
      after,
      types === null ? null : JSON.stringify(types),
      most,
    )
    .toArray()
    .map((row) => indexedRow(row))
  const last = rows.at(-1)
  const isAll = rows.length < most || last === undefined
  const erased = recentErasures(sql, Date.now())
  return { rows, erased, through: isAll ? Math.max(after, lastSequence(sql)) : last.sequence }
}

/**
 * Whether objects of a time, as they were at a sequence, have been replaced for good: a reader that was among them then
 * may have passed the place where their lines are now.
 */
export function wasReplacedSince(
  sql: SqlStorage,
  { maxSequence, sinceMs, untilMs }: { maxSequence: number; sinceMs: number; untilMs: number },
): boolean {
  const found = sql.exec(
    `SELECT 1 FROM objects WHERE level > 0 AND sequence > ?1 AND COALESCE(seen_from, sequence) <= ?1
       AND last_ms >= ?2 AND first_ms < ?3 LIMIT 1`,
    maxSequence,
    sinceMs,
    untilMs,
  )
  return found.toArray().length > 0
}

/** What lies after a sequence, of these types. */
export function lagAfter(
  sql: SqlStorage,
  afterSequence: number,
  types: readonly LineType[] | null,
): FollowerLag {
  const { objects, lines, oldest } = sql
    .exec<{ objects: number; lines: number; oldest: number | null }>(
      `SELECT COUNT(*) AS objects, COALESCE(SUM(lines), 0) AS lines, MIN(first_ms) AS oldest FROM
         (SELECT lines, first_ms FROM objects
          WHERE sequence > ?1 AND level = 0 AND (?2 IS NULL OR type IN (SELECT value FROM json_each(?2)))
          ORDER BY sequence LIMIT ?3)`,
      afterSequence,
      types === null ? null : JSON.stringify(types),
      MAX_LAG_ROWS,
    )
    .one()
  return { objects, lines, oldestMs: oldest }
}

/** The highest sequence that was ever given: rows that went with their objects do not bring theirs back. */
function lastSequence(sql: SqlStorage): number {
  const [row] = sql.exec<{ seq: number }>("SELECT seq FROM sqlite_sequence WHERE name = 'objects'").toArray()
  return row?.seq ?? 0
}

function storedName({ kind, name }: Follower): string {
  return `${kind}:${name}`
}
