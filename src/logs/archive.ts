/**
 * The Archive object: one for each environment, named by its UUID. R2 has no index, so this is it: one row for each
 * object of log lines. It never holds lines.
 */

import { DurableObject } from 'cloudflare:workers'
import { applySchema } from '../lib/object-schema.ts'
import { RETENTION_DAYS, type ArchiveRow, type IndexedRow } from './archive-object.ts'
import type { LineType } from './line.ts'

const SCHEMA = [
  `CREATE TABLE objects (
     sequence INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, type TEXT NOT NULL, hour TEXT NOT NULL,
     bytes INTEGER NOT NULL, line_bytes INTEGER NOT NULL, lines INTEGER NOT NULL,
     first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, nodes TEXT, names TEXT);
   CREATE INDEX objects_by_time ON objects (last_ms, sequence);`,
]
const DAY_MS = 24 * 60 * 60_000
/** R2's lifecycle rules work to the day; a row outlives its object by no more than this. */
const FORGET_AFTER_MS = (RETENTION_DAYS + 1) * DAY_MS
/** Rows that one call looks at, so that a rare name in a long archive does not hold the object for long. */
const MAX_EXAMINED = 5_000

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
  /** Only objects whose lines were all received after this. */
  startsAfterMs?: number
  nodeId: string | null
  name: string | null
  /** Only objects up to this sequence; null: all that there are. */
  maxSequence: number | null
  /** Go on after this one; null: from the newest (or the oldest, with oldestFirst). */
  after: ArchivePosition | null
  oldestFirst: boolean
  limit: number
}

export interface ArchiveFound {
  rows: IndexedRow[]
  /** Where to go on; null where there is no more. */
  next: ArchivePosition | null
  /** The highest sequence there is. */
  maxSequence: number
}

interface Row extends Record<string, SqlStorageValue> {
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
}

export class Archive extends DurableObject<Env> {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    applySchema(ctx.storage, SCHEMA)
  }

  /** Takes rows up, all or none. An object that is known already keeps its sequence. */
  async add(rows: readonly ArchiveRow[]): Promise<void> {
    for (const row of rows) {
      this.ctx.storage.sql.exec(
        `INSERT INTO objects (key, type, hour, bytes, line_bytes, lines, first_ms, last_ms, nodes, names)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (key) DO UPDATE SET bytes = ?4, line_bytes = ?5, lines = ?6, first_ms = ?7, last_ms = ?8,
           nodes = ?9, names = ?10`,
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
      )
    }
    if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(Date.now() + DAY_MS)
  }

  /** Objects that may hold what is asked for, newest first. Looks at a bounded number of rows. */
  find(query: ArchiveQuery): ArchiveFound {
    const { sql } = this.ctx.storage
    const { top } = sql.exec<{ top: number }>('SELECT COALESCE(MAX(sequence), 0) AS top FROM objects').one()
    const { oldestFirst, after } = query
    const start = after ?? (oldestFirst ? { lastMs: -1, sequence: 0 } : { lastMs: 1e15, sequence: 0 })
    const order = oldestFirst ? 'ASC' : 'DESC'
    const cursor = sql.exec<Row>(
      `SELECT * FROM objects
       WHERE (last_ms, sequence) ${oldestFirst ? '>' : '<'} (?1, ?2) AND last_ms >= ?3 AND first_ms < ?4
         AND first_ms > ?5 AND sequence <= ?6 AND type IN (SELECT value FROM json_each(?7))
       ORDER BY last_ms ${order}, sequence ${order}`,
      start.lastMs,
      start.sequence,
      query.sinceMs,
      query.untilMs,
      query.startsAfterMs ?? -1,
      query.maxSequence ?? top,
      JSON.stringify(query.types),
    )
    const rows: IndexedRow[] = []
    let examined = 0
    for (const row of cursor) {
      examined += 1
      if (mayHold(row.nodes, query.nodeId) && mayHold(row.names, query.name)) rows.push(indexedRow(row))
      if (rows.length >= query.limit || examined >= MAX_EXAMINED) {
        return { rows, next: { lastMs: row.last_ms, sequence: row.sequence }, maxSequence: top }
      }
    }
    return { rows, next: null, maxSequence: top }
  }

  /** Forgets objects by key: for compaction and erasure. */
  remove(keys: readonly string[]): void {
    this.ctx.storage.sql.exec(
      'DELETE FROM objects WHERE key IN (SELECT value FROM json_each(?))',
      JSON.stringify(keys),
    )
  }

  /** Once a day: rows go with the objects that R2's lifecycle rule has deleted. */
  override async alarm(): Promise<void> {
    await this.ctx.storage.setAlarm(Date.now() + DAY_MS)
    this.ctx.storage.sql.exec('DELETE FROM objects WHERE last_ms < ?', Date.now() - FORGET_AFTER_MS)
  }
}

function mayHold(listed: string | null, wanted: string | null): boolean {
  return listed === null || wanted === null || (JSON.parse(listed) as string[]).includes(wanted)
}

function indexedRow(row: Row): IndexedRow {
  return {
    sequence: row.sequence,
    key: row.key,
    type: row.type as LineType,
    hour: row.hour,
    bytes: row.bytes,
    lineBytes: row.line_bytes,
    lines: row.lines,
    firstMs: row.first_ms,
    lastMs: row.last_ms,
    nodes: row.nodes === null ? null : (JSON.parse(row.nodes) as string[]),
    names: row.names === null ? null : (JSON.parse(row.names) as string[]),
  }
}
