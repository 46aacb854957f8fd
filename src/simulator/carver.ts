/** The carves of one agent: scheduled by SQL or by the caller, uploaded one at a time (specification 6). */
import { randomUUID } from 'node:crypto'
import type { Result } from '../lib/result.ts'
import { fail, ok } from '../lib/result.ts'
import type { AgentEvent } from './agent-options.ts'
import type { ArchiveOptions, CarveRecord, ReadCarvedFile } from './carve.ts'
import { blockAt, blockCount, packArchive, sha256Hex } from './carve.ts'
import type { Counters } from './counters.ts'
import type { Dialect } from './dialect.ts'
import type { Session } from './session.ts'
import type { TableRow } from './sql-types.ts'
import { constrainedPaths } from './tables-files.ts'

export interface CarverOptions {
  readonly session: Session
  readonly counters: Counters
  readonly now: () => number
  readonly blockBytes: () => number
  readonly isCompressed: () => boolean
  readonly readFile: ReadCarvedFile | undefined
  /** Id of the distributed query that ran last: what old releases call the request of a carve. */
  readonly lastQueryId: () => string
  readonly carves: readonly CarveRecord[]
  readonly dialect: Dialect
  readonly onEvent: (event: AgentEvent) => void
}

/** Records and uploads of carves. */
export class Carver {
  readonly #options: CarverOptions
  readonly #records: CarveRecord[]
  /** Asked for by a query that may still turn out to be wrong SQL. */
  #asked: CarveRecord | undefined

  constructor(options: CarverOptions) {
    this.#options = options
    this.#records = options.carves.map((carve) => ({ ...carve }))
  }

  /** All carves, oldest first. */
  get records(): readonly Readonly<CarveRecord>[] {
    return this.#records
  }

  /** Schedules a carve of the paths. */
  schedule(paths: readonly string[]): CarveRecord {
    const record = this.#newRecord(paths)
    this.#admit(record)
    return record
  }

  /** Rows of the carves table for a query. `carve = 1` with paths asks for a carve and shows that one as `carve` 1. */
  rowsFor(sql: string): TableRow[] {
    const paths = /\bcarve\s*={1,2}\s*'?1\b/i.test(sql) ? constrainedPaths(sql) : []
    this.#asked = paths.length > 0 ? this.#newRecord(paths) : undefined
    const asked = this.#asked ? [toRow(this.#asked, 1)] : []
    return [...this.#records.map((record) => toRow(record, 0)), ...asked]
  }

  /** Notes the paths that the running query hands to `carve(path)`. */
  ask(paths: readonly string[]): void {
    if (paths.length > 0) this.#asked = this.#newRecord(paths)
  }

  /** Ends a query: what it asked for is scheduled if it ran, forgotten if it was refused. */
  settle(hasRun: boolean): void {
    if (this.#asked && hasRun) this.#admit(this.#asked)
    this.#asked = undefined
  }

  /** Uploads every scheduled carve, one after the other; gives those it took on. */
  async uploadAll(): Promise<Readonly<CarveRecord>[]> {
    const pending = this.#records.filter((record) => record.status === 'SCHEDULED')
    for (const record of pending) await this.#upload(record)
    return pending
  }

  async #upload(record: CarveRecord): Promise<void> {
    record.status = 'PENDING'
    const { dialect, isCompressed, readFile } = this.#options
    const archive = await archiveOf(record, { dialect, isCompressed: isCompressed(), readFile })
    if (archive.ok) this.#options.onEvent({ kind: 'carve-packed', carve: { ...record } })
    const sent = archive.ok ? await this.#post(record, archive.value) : archive
    if (sent.ok) record.status = 'SUCCESS'
    else {
      record.status = archive.ok ? 'DATA POST FAILED' : 'ARCHIVE FAILED'
      record.problem = sent.reason
    }
    this.#options.counters.carves[sent.ok ? 'succeeded' : 'failed'] += 1
    this.#options.onEvent({ kind: 'carved', carve: { ...record } })
  }

  async #post(record: CarveRecord, archive: Buffer): Promise<Result<void, string>> {
    const { blockBytes, dialect, session } = this.#options
    const [blockSize, requestId] = [blockBytes(), record.requestId]
    const count = blockCount(archive.byteLength, blockSize)
    const sessionId = await session.carveStart((nodeKey) =>
      dialect.stringify({
        block_count: count,
        block_size: blockSize,
        carve_size: archive.byteLength,
        carve_id: record.guid,
        request_id: requestId,
        node_key: nodeKey,
      }),
    )
    if (!sessionId.ok) return sessionId
    for (let i = 0; i < count; i += 1) {
      const data = blockAt(archive, i, blockSize).toString('base64')
      const sent = await session.carveBlock(
        dialect.stringify({ block_id: i, session_id: sessionId.value, request_id: requestId, data }),
      )
      if (sent.ok) continue
      record.problem = `block ${i} of ${count}: ${sent.reason}`
      // Older releases leave the block out, and still call the carve a success.
      if (dialect.stopsAtFailedBlock) return fail(record.problem)
    }
    return ok(undefined)
  }

  #admit(record: CarveRecord): void {
    this.#records.push(record)
    this.#options.counters.carves.scheduled += 1
  }

  #newRecord(paths: readonly string[]): CarveRecord {
    return {
      guid: randomUUID(),
      requestId: this.#options.dialect.hasCarveRequestIds ? randomUUID() : this.#options.lastQueryId(),
      paths,
      timeSeconds: Math.floor(this.#options.now() / 1000),
      status: 'SCHEDULED',
      sha256: '',
      sizeBytes: -1,
      problem: '',
    }
  }
}

async function archiveOf(record: CarveRecord, options: ArchiveOptions): Promise<Result<Buffer, string>> {
  try {
    const archive = await packArchive(record.guid, record.paths, options)
    record.sha256 = sha256Hex(archive)
    record.sizeBytes = archive.byteLength
    return ok(archive)
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error))
  }
}

function toRow(record: CarveRecord, carve: 0 | 1): TableRow {
  return {
    time: record.timeSeconds,
    sha256: record.sha256,
    size: record.sizeBytes,
    path: record.paths.join(','),
    status: record.status,
    carve_guid: record.guid,
    request_id: record.requestId,
    carve,
  }
}
