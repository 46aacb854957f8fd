/**
 * Reads log lines back from the archive: newest first, each event id once - also across pages - and the agent's bytes
 * unchanged. The work of one call is bounded: it rather gives a short page and a cursor.
 */

import { Deadline } from '../lib/deadline.ts'
import type { ArchivePosition } from './archive.ts'
import type { IndexedRow } from './archive-object.ts'
import { erasedMatcher } from './erased-lines.ts'
import { prefixesOf } from './id-prefixes.ts'
import { linesOf } from './line.ts'
import { lineMatcher, typesOf, type LineFilter, type LineMatcher } from './line-filter.ts'
import { LogPage, type LinePlace, type PageLine } from './log-page.ts'
import { ObjectDamaged, ObjectGone, readObject } from './object-reader.ts'

export interface LogFilter extends LineFilter {
  limit: number
  cursor: LogCursor | null
}

/** Where a page ended: time, place and id of its last line, and the archive's newest object when page one was read. */
export type LogCursor = readonly [receivedAtMs: number, index: number, eventId: string, maxSequence: number]

export interface FoundLines {
  lines: PageLine[]
  nextCursor: LogCursor | null
  /** Everything received after this time has been looked at; null: everything in the range. */
  searchedThroughMs: number | null
  /** What it took. */
  searched: Searched
}

export interface Searched {
  objects: number
  /** Inflated. */
  bytes: number
}

/** Objects and inflated bytes of one call; beyond that it stops with a cursor as soon as it got anywhere. */
const MAX_OBJECTS = 400
const MAX_READ_BYTES = 128 * 1_024 * 1_024
/** A person waits: it also stops after this time. */
const MAX_READ_MS = 8_000
/** Six connections may wait for headers at once (Workers limits); an object inflates to 4 MiB and rarely to 12. */
const READ_AT_ONCE = 4
const MAX_BYTES_AT_ONCE = 16 * 1_024 * 1_024
const ROWS_AT_ONCE = 100
/** Calls to the index in which nothing matched. */
const MAX_INDEX_CALLS = 10
/** How often one call begins anew where earlier pages have shown everything that it found. */
const MAX_ROUNDS = 5
const CALL_WITHIN_MS = 10_000
const END_OF_TIME_MS = 1e15

/** One page of an environment's lines. Throws when the index or R2 does not answer. */
export async function readLogs(env: Env, environmentId: string, filter: LogFilter): Promise<FoundLines> {
  let { cursor } = filter
  const searched: Searched = { objects: 0, bytes: 0 }
  const time = new Deadline(MAX_READ_MS)
  for (let round = 1; ; round += 1) {
    const reading = new Reading(env, environmentId, { ...filter, cursor }, searched, time)
    const found = await reading.readOn().catch((error: unknown) => {
      // What it was reading was replaced long ago and is gone by now: the index says what to read instead.
      if (error instanceof ObjectGone && round < MAX_ROUNDS) return null
      throw error
    })
    if (found === null) continue
    const { lines, next } = found
    if (next === null) return { lines, nextCursor: null, searchedThroughMs: null, searched }
    cursor = [next.receivedAtMs, next.index, next.eventId, reading.maxSequence ?? 0]
    if (lines.length > 0 || reading.isSpent || round >= MAX_ROUNDS) {
      return { lines, nextCursor: cursor, searchedThroughMs: next.receivedAtMs, searched }
    }
  }
}

class Reading {
  /** Objects that came after page one are left out, so that a resend cannot make a line vanish between two pages. */
  maxSequence: number | null
  readonly #env: Env
  readonly #environmentId: string
  readonly #filter: LogFilter
  readonly #start: LinePlace | null
  readonly #page: LogPage
  /** Lines that were looked for in newer objects. */
  readonly #asked = new Set<string>()
  readonly #matches: LineMatcher
  readonly #searched: Searched
  readonly #time: Deadline
  #isErased: ReturnType<typeof erasedMatcher> = () => false
  #indexCalls = 0

  constructor(env: Env, environmentId: string, filter: LogFilter, searched: Searched, time: Deadline) {
    this.#env = env
    this.#environmentId = environmentId
    this.#filter = filter
    const { cursor } = filter
    const [receivedAtMs, index, eventId, maxSequence] = cursor ?? [0, 0, '', null]
    this.#start = cursor === null ? null : { receivedAtMs, index, eventId }
    this.maxSequence = maxSequence
    this.#page = new LogPage(filter.limit, this.#start)
    this.#matches = lineMatcher(filter)
    this.#searched = searched
    this.#time = time
  }

  /** Whether it was enough for one call. */
  get isSpent(): boolean {
    const { objects, bytes } = this.#searched
    return (
      objects >= MAX_OBJECTS ||
      bytes >= MAX_READ_BYTES ||
      this.#indexCalls >= MAX_INDEX_CALLS ||
      this.#time.remainingMs() === 0
    )
  }

  /** Reads objects from the newest until the page is full, nothing is left, or it was enough for one call. */
  async readOn(): Promise<{ lines: PageLine[]; next: LinePlace | null }> {
    let after: ArchivePosition | null = null
    for (;;) {
      const { rows, next } = await this.#find({ after, limit: ROWS_AT_ONCE })
      for (const some of batchesOf(rows)) {
        const boundaryMs = some[0]?.lastMs ?? 0
        if (await this.#isDone(boundaryMs)) return this.#page.finish(boundaryMs)
        await this.#offer(some)
      }
      if (next === null) {
        await this.#leaveOutShown()
        return this.#page.finish(null)
      }
      if (await this.#isDone(next.lastMs)) return this.#page.finish(next.lastMs)
      after = next
    }
  }

  /** Whether the page ends here, also without the lines that were shown before. */
  async #isDone(boundaryMs: number): Promise<boolean> {
    if (!this.#mayEnd(boundaryMs)) return false
    await this.#leaveOutShown()
    return this.#mayEnd(boundaryMs)
  }

  /** A call that got nowhere goes on in any case: objects that overlap in time can only be read together. */
  #mayEnd(boundaryMs: number): boolean {
    if (this.#page.ready(boundaryMs)) return true
    const gotSomewhere = this.#start === null || boundaryMs < this.#start.receivedAtMs
    return gotSomewhere && this.isSpent
  }

  /**
   * Leaves out what an earlier page has shown: lines with a copy in an object that is wholly newer than the cursor.
   * Objects that lie across the cursor are read for this page anyway, which then knows of their copies.
   */
  async #leaveOutShown(): Promise<void> {
    if (this.#start === null) return
    const eventIds = this.#page.eventIds().filter((id) => !this.#asked.has(id))
    if (eventIds.length === 0) return
    for (const id of eventIds) this.#asked.add(id)
    const { nodeId, name, type, untilMs } = this.#filter
    const stub = this.#env.ARCHIVE_INDEX.getByName(this.#environmentId)
    const { copied, unsure } = await new Deadline(CALL_WITHIN_MS).run(
      stub.findCopies(prefixesOf(eventIds), {
        types: typesOf(type),
        nodeId,
        name,
        startsAfterMs: this.#start.receivedAtMs,
        untilMs: untilMs ?? END_OF_TIME_MS,
        maxSequence: this.maxSequence,
      }),
    )
    this.#page.leaveOut(copied.map((at) => eventIds[at] ?? ''))
    for (const some of batchesOf(unsure)) await this.#offer(some)
  }

  async #find(query: { after: ArchivePosition | null; limit: number }) {
    const { nodeId, name, type, sinceMs, untilMs } = this.#filter
    const stub = this.#env.ARCHIVE_INDEX.getByName(this.#environmentId)
    // Objects that begin after the cursor are the business of findCopies.
    const startsBefore = this.#start === null ? END_OF_TIME_MS : this.#start.receivedAtMs + 1
    const found = await new Deadline(CALL_WITHIN_MS).run(
      stub.find({
        types: typesOf(type),
        nodeId,
        name,
        sinceMs: sinceMs ?? 0,
        untilMs: Math.min(untilMs ?? END_OF_TIME_MS, startsBefore),
        maxSequence: this.maxSequence,
        ...query,
      }),
    )
    this.maxSequence ??= found.maxSequence
    this.#isErased = erasedMatcher(found.erased)
    this.#indexCalls = found.rows.length === 0 ? this.#indexCalls + 1 : 0
    return found
  }

  async #offer(rows: readonly IndexedRow[]): Promise<void> {
    await Promise.all(rows.map((row) => this.#offerObject(row)))
  }

  /** Offers the lines of an object; none where it is gone: erased or past its retention. */
  async #offerObject(row: IndexedRow): Promise<void> {
    this.#searched.objects += 1
    try {
      for await (const piece of readObject(this.#env, row, new Deadline(CALL_WITHIN_MS))) {
        this.#searched.bytes += piece.length
        for (const line of linesOf(piece)) {
          const { nodeId, receivedAt } = line.header
          if (this.#matches(line) && !this.#isErased(nodeId, Date.parse(receivedAt))) this.#page.offer(line)
        }
      }
    } catch (error) {
      if (!(error instanceof ObjectGone) && !(error instanceof ObjectDamaged)) throw error
      await this.#noteUnreadable(row, error)
    }
  }

  /** Throws on where the row is gone too: then its lines are somewhere else by now. */
  async #noteUnreadable(row: IndexedRow, error: ObjectGone | ObjectDamaged): Promise<void> {
    const stub = this.#env.ARCHIVE_INDEX.getByName(this.#environmentId)
    const isKnown = await new Deadline(CALL_WITHIN_MS).run(
      stub.markMissing([{ sequence: row.sequence, key: row.key }]),
    )
    console.error(JSON.stringify({ event: 'archived-object-unreadable', key: row.key, reason: error.name }))
    if (!isKnown) throw error
  }
}

/** Objects in the order given, as many at once as fit: of large ones one may be all that the page needs. */
function* batchesOf(rows: readonly IndexedRow[]): Generator<IndexedRow[]> {
  let batch: IndexedRow[] = []
  let bytes = 0
  for (const row of rows) {
    const rowBytes = bytesToRead(row)
    if (batch.length > 0 && (batch.length >= READ_AT_ONCE || bytes + rowBytes > MAX_BYTES_AT_ONCE)) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(row)
    bytes += rowBytes
  }
  if (batch.length > 0) yield batch
}

/** What reading a row's lines inflates to, about. */
function bytesToRead({ ranges, bytes, lineBytes }: IndexedRow): number {
  if (ranges === null) return lineBytes
  const part = ranges.reduce((sum, { length }) => sum + length, 0)
  return (lineBytes * part) / Math.max(1, bytes)
}
