/**
 * The SQLite of one carve session: named statements with typed rows, nothing else. An object without a session has
 * no tables: what was erased leaves nothing behind.
 */

import { blocksOfPart, isBlockAPart, partOfBlock, type CarvePlan } from '../fleet/carve-plan.ts'
import { concatBytes, type Bytes } from '../lib/bytes.ts'
import { applySchema } from '../lib/object-schema.ts'
import { MAX_ROW_BYTES, NOTE_BLOCK_TIME_EVERY_MS } from './constants.ts'

const SCHEMA = [
  `CREATE TABLE session (id INTEGER PRIMARY KEY CHECK (id = 1), carve TEXT NOT NULL, status TEXT NOT NULL,
     upload_id TEXT, assembled INTEGER NOT NULL DEFAULT 0, outcome TEXT, last_block_at_ms INTEGER NOT NULL,
     work_due_ms INTEGER, work_next_ms INTEGER, work_failures INTEGER NOT NULL DEFAULT 0,
     sync_due_ms INTEGER, sync_next_ms INTEGER, sync_failures INTEGER NOT NULL DEFAULT 0);
   CREATE TABLE parts (number INTEGER PRIMARY KEY, blocks INTEGER NOT NULL, etag TEXT);
   CREATE TABLE blocks (position INTEGER PRIMARY KEY, bytes BLOB NOT NULL);`,
]

export type SessionStatus = 'receiving' | 'complete' | 'failed' | 'expired'

/** What a session is about. It does not change while blocks come. */
export interface SessionCarve {
  /** The row in D1, unless an operator's request takes it over; also tells one session from one that replaced it. */
  rowId: string
  environmentId: string
  nodeId: string
  carveId: string
  requestTag: string
  objectKey: string
  plan: CarvePlan
  createdAtMs: number
}

/** How a session ended. */
export interface SessionOutcome {
  message: string | null
  sha256: string | null
  isZstd: boolean
  /** How many blocks had come: they are dropped with the end. */
  blocksReceived: number
}

export interface Session {
  carve: SessionCarve
  status: SessionStatus
  uploadId: string | null
  isAssembled: boolean
  outcome: SessionOutcome | null
  lastBlockAtMs: number
}

/** What an alarm does: bring the archive forward, or tell the index in D1. */
export type Duty = 'work' | 'sync'

type SessionRow = {
  carve: string
  status: SessionStatus
  upload_id: string | null
  assembled: number
  outcome: string | null
  last_block_at_ms: number
}

export class SessionStore {
  readonly #storage: DurableObjectStorage
  readonly #sql: SqlStorage
  #hasTables: boolean

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage
    this.#sql = storage.sql
    this.#hasTables =
      this.#sql.exec(`SELECT 1 FROM sqlite_master WHERE name = '_schema'`).toArray().length > 0
    if (this.#hasTables) applySchema(storage, SCHEMA)
  }

  session(): Session | null {
    if (!this.#hasTables) return null
    const [row] = this.#sql
      .exec<SessionRow>('SELECT carve, status, upload_id, assembled, outcome, last_block_at_ms FROM session')
      .toArray()
    if (row === undefined) return null
    return {
      carve: JSON.parse(row.carve) as SessionCarve,
      status: row.status,
      uploadId: row.upload_id,
      isAssembled: row.assembled === 1,
      outcome: row.outcome === null ? null : (JSON.parse(row.outcome) as SessionOutcome),
      lastBlockAtMs: row.last_block_at_ms,
    }
  }

  /** Starts a session; an untouched one before it is forgotten. */
  start(carve: SessionCarve, syncDueMs: number): void {
    applySchema(this.#storage, SCHEMA)
    this.#hasTables = true
    this.#dropBlocks()
    this.#sql.exec(
      `INSERT OR REPLACE INTO session (id, carve, status, last_block_at_ms, sync_due_ms)
       VALUES (1, ?, 'receiving', ?, ?)`,
      JSON.stringify(carve),
      carve.createdAtMs,
      syncDueMs,
    )
  }

  /** Forgets everything, the alarm too. */
  async forget(): Promise<void> {
    this.#hasTables = false
    await this.#storage.deleteAlarm()
    await this.#storage.deleteAll()
  }

  hasBlock(plan: CarvePlan, blockId: number): boolean {
    const part = partOfBlock(plan, blockId)
    const sql = isBlockAPart(plan)
      ? 'SELECT 1 FROM parts WHERE number = ?1 AND etag IS NOT NULL'
      : 'SELECT 1 FROM parts WHERE number = ?1 AND etag IS NOT NULL UNION ALL SELECT 1 FROM blocks WHERE position = ?2'
    const first = blockId * rowsPerBlock(plan)
    return this.#sql.exec(sql, ...(isBlockAPart(plan) ? [part] : [part, first])).toArray().length > 0
  }

  /** Stores a block that is not there yet; whether its part has all of its blocks now. */
  putBlock(plan: CarvePlan, blockId: number, bytes: Bytes): boolean {
    const first = blockId * rowsPerBlock(plan)
    for (let offset = 0, row = 0; offset < bytes.length; offset += MAX_ROW_BYTES, row += 1) {
      const piece = bytes.subarray(offset, offset + MAX_ROW_BYTES)
      this.#sql.exec('INSERT INTO blocks (position, bytes) VALUES (?, ?)', first + row, piece)
    }
    const part = partOfBlock(plan, blockId)
    const { blocks } = this.#sql
      .exec<{ blocks: number }>(
        `INSERT INTO parts (number, blocks) VALUES (?, 1)
         ON CONFLICT (number) DO UPDATE SET blocks = blocks + 1 RETURNING blocks`,
        part,
      )
      .one()
    return blocks === blocksOfPart(plan, part).blocks
  }

  /** The bytes of a gathered part, one row at a time. */
  *partRows(plan: CarvePlan, part: number): Generator<Bytes> {
    const { firstBlockId, blocks } = blocksOfPart(plan, part)
    const end = (firstBlockId + blocks) * rowsPerBlock(plan)
    let position = firstBlockId * rowsPerBlock(plan)
    for (;;) {
      const rows = this.#sql
        .exec<{ position: number; bytes: ArrayBuffer }>(
          'SELECT position, bytes FROM blocks WHERE position >= ? AND position < ? ORDER BY position LIMIT ?',
          position,
          end,
          Math.max(1, Math.floor(MAX_ROW_BYTES / plan.blockSize)),
        )
        .toArray()
      const last = rows.at(-1)
      if (last === undefined) return
      yield concatBytes(rows.map((row) => new Uint8Array(row.bytes)))
      position = last.position + 1
    }
  }

  /** Notes that a part is in R2; its rows are not needed any more. */
  putPart(plan: CarvePlan, part: number, etag: string): void {
    const { firstBlockId, blocks } = blocksOfPart(plan, part)
    const rows = rowsPerBlock(plan)
    this.#sql.exec('INSERT OR REPLACE INTO parts (number, blocks, etag) VALUES (?, ?, ?)', part, blocks, etag)
    this.#sql.exec(
      'DELETE FROM blocks WHERE position >= ? AND position < ?',
      firstBlockId * rows,
      (firstBlockId + blocks) * rows,
    )
  }

  /** Parts with all of their blocks that are not in R2 yet. */
  fullParts(plan: CarvePlan): number[] {
    return this.#sql
      .exec<{ number: number; blocks: number }>(
        'SELECT number, blocks FROM parts WHERE etag IS NULL ORDER BY number',
      )
      .toArray()
      .filter(({ number, blocks }) => blocks === blocksOfPart(plan, number).blocks)
      .map(({ number }) => number)
  }

  /** Parts that are in R2, by number. */
  uploadedParts(): { number: number; etag: string }[] {
    return this.#sql
      .exec<{ number: number; etag: string }>(
        'SELECT number, etag FROM parts WHERE etag IS NOT NULL ORDER BY number',
      )
      .toArray()
  }

  blocksReceived(): number {
    return this.#sql.exec<{ blocks: number }>('SELECT COALESCE(SUM(blocks), 0) AS blocks FROM parts').one()
      .blocks
  }

  /** Remembers that the agent is alive, at most so often. */
  noteBlock(session: Session, nowMs: number): void {
    if (nowMs - session.lastBlockAtMs >= NOTE_BLOCK_TIME_EVERY_MS)
      this.#sql.exec('UPDATE session SET last_block_at_ms = ?', nowMs)
  }

  setUploadId(uploadId: string): void {
    this.#sql.exec('UPDATE session SET upload_id = ?', uploadId)
  }

  setAssembled(): void {
    this.#sql.exec('UPDATE session SET assembled = 1')
  }

  /** Ends the session. Blocks and parts are dropped. */
  end(status: Exclude<SessionStatus, 'receiving'>, outcome: SessionOutcome): void {
    this.#sql.exec('UPDATE session SET status = ?, outcome = ?', status, JSON.stringify(outcome))
    this.#dropBlocks()
  }

  #dropBlocks(): void {
    this.#sql.exec('DELETE FROM blocks')
    this.#sql.exec('DELETE FROM parts')
  }

  /** When a duty is due and how often it failed since it last did not. */
  duty(duty: Duty): { dueMs: number | null; failures: number } {
    return this.#sql
      .exec<{ dueMs: number | null; failures: number }>(
        `SELECT COALESCE(MIN(${duty}_due_ms, ${duty}_next_ms), ${duty}_due_ms, ${duty}_next_ms) AS dueMs,
           ${duty}_failures AS failures FROM session`,
      )
      .one()
  }

  /** Makes a duty due at this time, unless it is due sooner. */
  wantBy(duty: Duty, dueMs: number): void {
    const next = `${duty}_next_ms`
    this.#sql.exec(`UPDATE session SET ${next} = ?1 WHERE ${next} IS NULL OR ${next} > ?1`, dueMs)
  }

  /** Begins a duty. It stays due until it is settled, so that it is taken up again if its object dies under it. */
  takeUp(duty: Duty, nowMs: number): void {
    this.#sql.exec(`UPDATE session SET ${duty}_due_ms = ?, ${duty}_next_ms = NULL`, nowMs)
  }

  /** A duty is done: it is due again only where it was wanted meanwhile. */
  settle(duty: Duty): void {
    this.#sql.exec(`UPDATE session SET ${duty}_due_ms = NULL, ${duty}_failures = 0`)
  }

  /** A duty failed: it is due at this time. */
  postpone(duty: Duty, dueMs: number, failures: number): void {
    this.#sql.exec(
      `UPDATE session SET ${duty}_due_ms = ?, ${duty}_next_ms = NULL, ${duty}_failures = ?`,
      dueMs,
      failures,
    )
  }
}

/** Rows that a block of full size takes. */
function rowsPerBlock(plan: CarvePlan): number {
  return Math.ceil(plan.blockSize / MAX_ROW_BYTES)
}
