/**
 * Erasures: an operator had the lines of a node, or all of them, deleted. Lines that were received until then are taken
 * out of every object; until that is done, and for what was still on its way, readers and compaction leave them out.
 */

import type { IndexedRow } from '../archive-object.ts'
import { MAX_STEP_BYTES, type OutputRow } from './compaction.ts'
import type { ErasedLines } from './erased.ts'
import { COLUMNS, forgetObjects, Narrowing, putIds, type ObjectRow } from './objects.ts'

const MAX_STEP_OBJECTS = 200
const MAX_EXAMINED = 5_000

/** `aside`: inbox and quarantine. `archive`: objects of lines. */
export type ErasurePhase = 'aside' | 'archive' | 'done'

/** What an operator is told. */
export interface Receipt extends ErasedLines {
  id: string
  finishedMs: number | null
  /** Lines that were taken out, and how many objects held them. */
  lines: number
  objects: number
  /** Bodies in the inbox and in quarantine that were deleted. */
  setAside: number
}

/** The next piece of an erasure. */
export interface ErasureWork extends ErasedLines {
  id: string
  phase: ErasurePhase
  /** Phase `aside`: where its listing goes on. */
  cursor: string | null
  /** Phase `archive`: objects that may hold its lines. */
  rows: IndexedRow[]
}

/** What became of an object. */
export interface ErasedObject {
  sequence: number
  removedLines: number
  /** What is left, under a key of its own; null: nothing. */
  left: OutputRow | null
}

interface ErasureRow extends Record<string, SqlStorageValue> {
  id: string
  node: string | null
  requested_ms: number
  finished_ms: number | null
  phase: string
  cursor: string | null
  lines: number
  objects: number
  set_aside: number
}

/** Begins an erasure; the same id again is the same one. What compaction was about to delete some day goes at once. */
export function beginErasure(sql: SqlStorage, id: string, { nodeId, untilMs }: ErasedLines): void {
  sql.exec(
    `INSERT INTO erasures (id, node, requested_ms, phase) VALUES (?, ?, ?, 'aside') ON CONFLICT DO NOTHING`,
    id,
    nodeId,
    untilMs,
  )
  sql.exec('UPDATE garbage SET due_ms = MIN(due_ms, ?)', untilMs)
}

export function receiptOf(sql: SqlStorage, id: string): Receipt | null {
  const [row] = sql.exec<ErasureRow>('SELECT * FROM erasures WHERE id = ?', id).toArray()
  return row === undefined ? null : receipt(row)
}

/** Newest first, before an id (they sort by time). */
export function listReceipts(sql: SqlStorage, beforeId: string | null, limit: number): Receipt[] {
  return sql
    .exec<ErasureRow>(
      'SELECT * FROM erasures WHERE ?1 IS NULL OR id < ?1 ORDER BY id DESC LIMIT ?2',
      beforeId,
      limit,
    )
    .toArray()
    .map(receipt)
}

function receipt(row: ErasureRow): Receipt {
  return {
    id: row.id,
    nodeId: row.node,
    untilMs: row.requested_ms,
    finishedMs: row.finished_ms,
    lines: row.lines,
    objects: row.objects,
    setAside: row.set_aside,
  }
}

/** The next piece of the oldest erasure; null where all are done. `finish` is called with one that has come to its end. */
export function nextErasure(
  sql: SqlStorage,
  nowMs: number,
  finish: (erased: ErasedLines) => void,
): ErasureWork | null {
  for (;;) {
    const [row] = sql
      .exec<ErasureRow>('SELECT * FROM erasures WHERE finished_ms IS NULL ORDER BY id LIMIT 1')
      .toArray()
    if (row === undefined) return null
    const { id, node: nodeId, requested_ms: untilMs, cursor } = row
    const phase = row.phase as ErasurePhase
    if (phase === 'aside') return { id, nodeId, untilMs, phase, cursor, rows: [] }
    const { rows, through } = objectsToErase(sql, { nodeId, untilMs }, Number(cursor ?? 0))
    if (rows.length > 0) return { id, nodeId, untilMs, phase, cursor, rows }
    if (through === null) {
      sql.exec(`UPDATE erasures SET finished_ms = ?, phase = 'done' WHERE id = ?`, nowMs, id)
      finish({ nodeId, untilMs })
    } else sql.exec('UPDATE erasures SET cursor = ? WHERE id = ?', String(through), id)
  }
}

/** Objects after a sequence that may hold such lines; `through` is null where there are none to look at any more. */
function objectsToErase(
  sql: SqlStorage,
  { nodeId, untilMs }: ErasedLines,
  afterSequence: number,
): { rows: IndexedRow[]; through: number | null } {
  const narrow = new Narrowing(sql, { nodeId, name: null })
  const cursor = sql.exec<ObjectRow>(
    `SELECT ${COLUMNS} FROM objects WHERE sequence > ? AND first_ms <= ? ORDER BY sequence LIMIT ?`,
    afterSequence,
    untilMs,
    MAX_EXAMINED,
  )
  const rows: IndexedRow[] = []
  let bytes = 0
  let through: number | null = null
  for (const row of cursor) {
    const found = narrow.look(row)
    if (found !== null) {
      bytes += row.line_bytes
      if (rows.length >= MAX_STEP_OBJECTS || (rows.length > 0 && bytes > MAX_STEP_BYTES)) break
      rows.push({ ...found, ranges: null })
    }
    through = row.sequence
  }
  return { rows, through }
}

/** Notes how far the inbox and the quarantine were gone through; a null cursor: to the end. */
export function noteSetAside(sql: SqlStorage, id: string, deleted: number, cursor: string | null): void {
  sql.exec(
    `UPDATE erasures SET set_aside = set_aside + ?, cursor = ?, phase = ? WHERE id = ? AND phase = 'aside'`,
    deleted,
    cursor,
    cursor === null ? 'archive' : 'aside',
    id,
  )
}

/** Notes what became of objects: call it inside a transaction. Their old objects are garbage from now on. */
export function noteErased(
  sql: SqlStorage,
  id: string,
  erased: readonly ErasedObject[],
  through: number,
  nowMs: number,
): void {
  for (const { sequence, left, removedLines } of erased) {
    if (removedLines === 0 && left !== null) continue
    sql.exec(
      'INSERT OR REPLACE INTO garbage SELECT key, ? FROM objects WHERE sequence = ? AND key IS NOT ?',
      nowMs,
      sequence,
      left?.key ?? null,
    )
    if (left === null) forgetObjects(sql, [sequence])
    else updateObject(sql, sequence, left)
  }
  sql.exec(
    'UPDATE erasures SET cursor = ?, lines = lines + ?, objects = objects + ? WHERE id = ?',
    String(through),
    erased.reduce((sum, { removedLines }) => sum + removedLines, 0),
    erased.filter(({ removedLines }) => removedLines > 0).length,
    id,
  )
}

/** The row stays where it is in the order of sequences, so that followers and readers keep their place. */
function updateObject(sql: SqlStorage, sequence: number, row: OutputRow): void {
  sql.exec(
    `UPDATE objects SET key = ?2, bytes = ?3, line_bytes = ?4, lines = ?5, first_ms = ?6, last_ms = ?7, nodes = ?8,
       names = ?9 WHERE sequence = ?1`,
    sequence,
    row.key,
    row.bytes,
    row.lineBytes,
    row.lines,
    row.firstMs,
    row.lastMs,
    row.nodes === null ? null : JSON.stringify(row.nodes),
    row.names === null ? null : JSON.stringify(row.names),
  )
  putIds(sql, sequence, row.ids)
  sql.exec(
    'UPDATE blocks SET directory = ?, nodes = ? WHERE sequence = ?',
    row.directory,
    row.nodePrefixes,
    sequence,
  )
  sql.exec('DELETE FROM garbage WHERE key = ?', row.key)
}
