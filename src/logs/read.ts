/**
 * Reads log lines back from the archive: newest first, each event id once - also across pages - and the agent's bytes
 * unchanged. The work of one call is bounded: it rather gives a short page and a cursor.
 */

import { Deadline } from '../lib/deadline.ts'
import type { ArchivePosition, ArchiveQuery } from './archive.ts'
import type { IndexedRow } from './archive-object.ts'
import { linesOf, LINE_TYPES, type ArchivedLine, type LineType } from './line.ts'
import { LogPage, type LinePlace, type PageLine } from './log-page.ts'

export interface LogFilter {
  nodeId: string | null
  /** `result` includes snapshots: both travel under log_type result. */
  type: LineType | null
  name: string | null
  /** Received in [sinceMs, untilMs). */
  sinceMs: number | null
  untilMs: number | null
  limit: number
  cursor: LogCursor | null
}

/** Where a page ended: time, place and id of its last line, and the archive's newest object when page one was read. */
export type LogCursor = readonly [receivedAtMs: number, index: number, eventId: string, maxSequence: number]

export interface FoundLines {
  lines: PageLine[]
  nextCursor: LogCursor | null
}

/**
 * How much later the same line may come again: an agent that got no answer backs off for an hour at most
 * (logger_tls_backoff_max = 3,600 s, spec 4.5), and a queue message is redelivered within minutes.
 */
const DUPLICATE_WINDOW_MS = 70 * 60_000
/** Objects and inflated bytes of one call; beyond that it stops with a cursor as soon as it got anywhere. */
const MAX_OBJECTS = 400
const MAX_READ_BYTES = 256 * 1_024 * 1_024
/** Of the objects newer than the cursor, so many are looked through for lines that an earlier page has shown. */
const MAX_LOOK_BACK = 60
/** Six connections may wait for headers at once (Workers limits); an object inflates to 4 MiB and rarely to 12. */
const READ_AT_ONCE = 4
const ROWS_AT_ONCE = 100
/** Calls to the index in which nothing matched. */
const MAX_INDEX_CALLS = 10
const CALL_WITHIN_MS = 10_000
const END_OF_TIME_MS = 1e15

/** One page of an environment's lines. Throws when the index or R2 does not answer. */
export async function readLogs(env: Env, environmentId: string, filter: LogFilter): Promise<FoundLines> {
  const reading = new Reading(env, environmentId, filter)
  await reading.lookBack()
  const { lines, next } = await reading.readOn()
  if (next === null) return { lines, nextCursor: null }
  const { receivedAtMs, index, eventId } = next
  return { lines, nextCursor: [receivedAtMs, index, eventId, reading.maxSequence ?? 0] }
}

class Reading {
  /** Objects that came after page one are left out, so that a resend cannot make a line vanish between two pages. */
  maxSequence: number | null
  readonly #env: Env
  readonly #environmentId: string
  readonly #filter: LogFilter
  readonly #start: LinePlace | null
  readonly #page: LogPage
  #objects = 0
  #bytes = 0
  #indexCalls = 0

  constructor(env: Env, environmentId: string, filter: LogFilter) {
    this.#env = env
    this.#environmentId = environmentId
    this.#filter = filter
    const { cursor } = filter
    const [receivedAtMs, index, eventId, maxSequence] = cursor ?? [0, 0, '', null]
    this.#start = cursor === null ? null : { receivedAtMs, index, eventId }
    this.maxSequence = maxSequence
    this.#page = new LogPage(filter.limit, this.#start)
  }

  /**
   * When a page is continued: learns the ids that were shown already, from the objects newer than the cursor within
   * the duplicate window. In an archive with more objects than that the nearest are looked at; compaction makes
   * hours free of duplicates.
   */
  async lookBack(): Promise<void> {
    if (this.#start === null) return
    const fromMs = this.#start.receivedAtMs
    const untilMs = Math.min(fromMs + DUPLICATE_WINDOW_MS, this.#filter.untilMs ?? END_OF_TIME_MS)
    const { rows } = await this.#find({
      sinceMs: fromMs,
      untilMs,
      startsAfterMs: fromMs,
      oldestFirst: true,
      limit: MAX_LOOK_BACK,
    })
    for (let i = 0; i < rows.length; i += READ_AT_ONCE) await this.#offer(rows.slice(i, i + READ_AT_ONCE))
    this.#objects = 0
    this.#bytes = 0
  }

  /** Reads objects from the newest until the page is full, nothing is left, or it was enough for one call. */
  async readOn(): Promise<{ lines: PageLine[]; next: LinePlace | null }> {
    let after: ArchivePosition | null = null
    for (;;) {
      const { rows, next } = await this.#find({ after, limit: ROWS_AT_ONCE })
      for (let i = 0; i < rows.length; i += READ_AT_ONCE) {
        const some = rows.slice(i, i + READ_AT_ONCE)
        const boundaryMs = some[0]?.lastMs ?? 0
        if (this.#page.ready(boundaryMs) || this.#isEnough(boundaryMs)) return this.#page.finish(boundaryMs)
        await this.#offer(some)
      }
      if (next === null) return this.#page.finish(null)
      if (this.#page.ready(next.lastMs) || this.#isEnough(next.lastMs)) return this.#page.finish(next.lastMs)
      after = next
    }
  }

  /** A call that got nowhere goes on in any case: objects that overlap in time can only be read together. */
  #isEnough(boundaryMs: number): boolean {
    const gotSomewhere = this.#start === null || boundaryMs < this.#start.receivedAtMs
    const spent =
      this.#objects >= MAX_OBJECTS || this.#bytes >= MAX_READ_BYTES || this.#indexCalls >= MAX_INDEX_CALLS
    return gotSomewhere && spent
  }

  async #find(query: Partial<ArchiveQuery> & { limit: number }) {
    const { nodeId, name, type, sinceMs, untilMs } = this.#filter
    const stub = this.#env.ARCHIVE_INDEX.getByName(this.#environmentId)
    // Objects that begin after the cursor were the business of lookBack.
    const startsBefore = this.#start === null ? END_OF_TIME_MS : this.#start.receivedAtMs + 1
    const found = await new Deadline(CALL_WITHIN_MS).run(
      stub.find({
        types: typesOf(type),
        nodeId,
        name,
        sinceMs: sinceMs ?? 0,
        untilMs: Math.min(untilMs ?? END_OF_TIME_MS, startsBefore),
        maxSequence: this.maxSequence,
        after: null,
        oldestFirst: false,
        ...query,
      }),
    )
    this.maxSequence ??= found.maxSequence
    this.#indexCalls = found.rows.length === 0 ? this.#indexCalls + 1 : 0
    return found
  }

  async #offer(rows: readonly IndexedRow[]): Promise<void> {
    for (const lines of await Promise.all(rows.map((row) => this.#readObject(row)))) {
      for (const line of lines) if (this.#matches(line)) this.#page.offer(line)
    }
  }

  /** The lines of an object; none where it is gone: erased, compacted or past its retention. */
  async #readObject(row: IndexedRow): Promise<Iterable<ArchivedLine>> {
    this.#objects += 1
    this.#bytes += row.lineBytes
    const deadline = new Deadline(CALL_WITHIN_MS)
    const object = await deadline.run(this.#env.ARCHIVE.get(row.key))
    if (object === null) return []
    const inflated = object.body.pipeThrough(
      new DecompressionStream('gzip') as ReadableWritablePair<Uint8Array>,
    )
    return linesOf(new Uint8Array(await deadline.run(new Response(inflated).arrayBuffer())))
  }

  #matches({ header }: ArchivedLine): boolean {
    const { nodeId, name, type, sinceMs, untilMs } = this.#filter
    const receivedAtMs = Date.parse(header.receivedAt)
    return (
      (nodeId === null || header.nodeId === nodeId) &&
      (name === null || header.name === name) &&
      typesOf(type).includes(header.type) &&
      (sinceMs === null || receivedAtMs >= sinceMs) &&
      (untilMs === null || receivedAtMs < untilMs)
    )
  }
}

function typesOf(type: LineType | null): readonly LineType[] {
  if (type === null) return LINE_TYPES
  return type === 'result' ? ['result', 'snapshot'] : [type]
}
