/**
 * The Archive object: one for each environment, named by its UUID. R2 has no index, so this is it: one row for each
 * object of log lines. It never holds lines, but of each the first bytes of its id: a resend may lie anywhere.
 */

import { DurableObject } from 'cloudflare:workers'
import type { Bytes } from '../lib/bytes.ts'
import { applySchema } from '../lib/object-schema.ts'
import { retentionDaysOfKey, type ArchiveRow, type IndexedRow } from './archive-object.ts'
import { PrefixSearch } from './id-prefixes.ts'
import type { LineType } from './line.ts'
import { RETENTION_CLASSES } from './retention.ts'

const SCHEMA = [
  `CREATE TABLE objects (
     sequence INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, type TEXT NOT NULL, hour TEXT NOT NULL,
     bytes INTEGER NOT NULL, line_bytes INTEGER NOT NULL, lines INTEGER NOT NULL,
     first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, nodes TEXT, names TEXT);
   CREATE INDEX objects_by_time ON objects (last_ms, sequence);`,
  // Last in the row and often long: reading the other columns does not touch it.
  'ALTER TABLE objects ADD COLUMN ids BLOB',
]
const COLUMNS = 'sequence, key, type, hour, bytes, line_bytes, lines, first_ms, last_ms, nodes, names'
const DAY_MS = 24 * 60 * 60_000
/** Rows that one call looks at, so that a rare name in a long archive does not hold the object for long. */
const MAX_EXAMINED = 5_000

/** What one look for copies goes over: it holds the object for some 100 ms. */
const MAX_SEARCHED_ROWS = 20_000
const MAX_SEARCHED_BYTES = 64 * 1_024 * 1_024
/** Objects that one look for copies may ask its caller to read. */
const MAX_UNSURE = 60
/** Lines whose ids are kept, the newest: 4 GB of the 10 GB that a Durable Object may have. */
const MAX_KEPT_IDS = 500_000_000

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
  name: string | null
  /** Only objects up to this sequence; null: all that there are. */
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
}

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
        `INSERT INTO objects (key, type, hour, bytes, line_bytes, lines, first_ms, last_ms, nodes, names, ids)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
         ON CONFLICT (key) DO UPDATE SET bytes = ?4, line_bytes = ?5, lines = ?6, first_ms = ?7, last_ms = ?8,
           nodes = ?9, names = ?10, ids = ?11`,
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
        row.ids,
      )
    }
    if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(Date.now() + DAY_MS)
  }

  /** Objects that may hold what is asked for, newest first. Looks at a bounded number of rows. */
  find(query: ArchiveQuery): ArchiveFound {
    const { sql } = this.ctx.storage
    const { top } = sql.exec<{ top: number }>('SELECT COALESCE(MAX(sequence), 0) AS top FROM objects').one()
    const start = query.after ?? { lastMs: 1e15, sequence: 0 }
    const cursor = sql.exec<Row>(
      `SELECT ${COLUMNS} FROM objects
       WHERE (last_ms, sequence) < (?1, ?2) AND last_ms >= ?3 AND first_ms < ?4
         AND sequence <= ?5 AND type IN (SELECT value FROM json_each(?6))
       ORDER BY last_ms DESC, sequence DESC`,
      start.lastMs,
      start.sequence,
      query.sinceMs,
      query.untilMs,
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

  /** One object by its sequence; null where there is none. */
  object(sequence: number): IndexedRow | null {
    const [row] = this.ctx.storage.sql.exec<Row>(
      `SELECT ${COLUMNS} FROM objects WHERE sequence = ?`,
      sequence,
    )
    return row === undefined ? null : indexedRow(row)
  }

  /**
   * Which lines, given by the prefixes of their event ids, have copies in newer objects. Looks at the nearest of
   * those first, and at a bounded number: agents send again within hours.
   */
  findCopies(prefixes: Bytes, query: CopiesQuery): CopiesFound {
    const { sql } = this.ctx.storage
    const search = new PrefixSearch(prefixes)
    const cursor = sql.exec<{ sequence: number; last_ms: number; ids: ArrayBuffer | null }>(
      `SELECT sequence, last_ms, ids FROM objects
       WHERE last_ms > ?1 AND first_ms > ?1 AND first_ms < ?2 AND sequence <= ?3
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
    return { copied: [...copied], unsure: this.#rowsThatMayHold(unsure, query) }
  }

  /** Of these objects the first that may hold lines of a node and a name. */
  #rowsThatMayHold(sequences: readonly number[], { nodeId, name }: CopiesQuery): IndexedRow[] {
    const rows: IndexedRow[] = []
    for (const sequence of sequences) {
      const row = this.ctx.storage.sql
        .exec<Row>(`SELECT ${COLUMNS} FROM objects WHERE sequence = ?`, sequence)
        .one()
      if (mayHold(row.nodes, nodeId) && mayHold(row.names, name)) rows.push(indexedRow(row))
      if (rows.length >= MAX_UNSURE) break
    }
    return rows
  }

  /** Forgets objects by key: for compaction and erasure. */
  remove(keys: readonly string[]): void {
    this.ctx.storage.sql.exec(
      'DELETE FROM objects WHERE key IN (SELECT value FROM json_each(?))',
      JSON.stringify(keys),
    )
  }

  /** Forgets the ids of all lines but the newest, so that the index never outgrows its object. */
  forgetIds(keptLines: number): void {
    this.ctx.storage.sql.exec(
      `UPDATE objects SET ids = NULL WHERE ids IS NOT NULL AND sequence <=
         (SELECT MAX(sequence) FROM
           (SELECT sequence, SUM(lines) OVER (ORDER BY sequence DESC) AS newer FROM objects)
          WHERE newer > ?)`,
      keptLines,
    )
  }

  /** Once a day: rows go with the objects that R2's lifecycle rule has deleted. */
  override async alarm(): Promise<void> {
    await this.ctx.storage.setAlarm(Date.now() + DAY_MS)
    for (const days of RETENTION_CLASSES) {
      // The rules work to the day: a row outlives its object by no more than one.
      this.ctx.storage.sql.exec(
        'DELETE FROM objects WHERE last_ms < ? AND key GLOB ?',
        Date.now() - (days + 1) * DAY_MS,
        `logs/r${days}/*`,
      )
    }
    this.forgetIds(MAX_KEPT_IDS)
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
    retentionDays: retentionDaysOfKey(row.key),
    bytes: row.bytes,
    lineBytes: row.line_bytes,
    lines: row.lines,
    firstMs: row.first_ms,
    lastMs: row.last_ms,
    nodes: row.nodes === null ? null : (JSON.parse(row.nodes) as string[]),
    names: row.names === null ? null : (JSON.parse(row.names) as string[]),
  }
}
