/**
 * The rows of an AnswerShard's answers, wherever they lie: in its SQLite, or, where their query is closed, in segments in
 * R2. A reader does not see the difference.
 */

import type { Bytes } from '../lib/bytes.ts'
import { Deadline } from '../lib/deadline.ts'
import type { AnswerPosition, AnswerRecord } from './answer.ts'
import type { Arrival, ArrivalStore, ArrivalWithRows } from './arrival-store.ts'
import type { Segment, SegmentStore } from './segment-store.ts'
import type { ShardStore } from './shard-store.ts'

/** Readers wait 3 s (a Feed) to 10 s (an export) for a shard. */
const SEGMENT_WITHIN_MS = 5_000

export interface RecordsWithRows {
  records: (AnswerRecord & { rows: Bytes | null })[]
  /** There are no more. */
  complete: boolean
}

/** Where the rows of one answer are. */
type RowsPlace = { rows: Bytes | null } | { segment: Segment; start: number; end: number }

interface Placed {
  answer: Arrival
  place: RowsPlace
}

export class StoredRows {
  readonly #answers: ShardStore
  readonly #arrivals: ArrivalStore
  readonly #segments: SegmentStore
  readonly #bucket: R2Bucket

  constructor(
    stores: { answers: ShardStore; arrivals: ArrivalStore; segments: SegmentStore },
    bucket: R2Bucket,
  ) {
    this.#answers = stores.answers
    this.#arrivals = stores.arrivals
    this.#segments = stores.segments
    this.#bucket = bucket
  }

  /** See AnswerShard. Throws when R2 does not answer. */
  async records(
    number: number,
    from: AnswerPosition | null,
    maxRows: number,
    maxBytes: number,
  ): Promise<RecordsWithRows> {
    const { placed, complete } = this.#placeRecords(number, from, maxRows, maxBytes)
    const rows = await this.#fetch(number, placed)
    if (rows === null) return { records: [], complete: true }
    const records = placed.map(({ answer: { arrival: _arrival, ...record } }, index) => ({
      ...record,
      rows: rows[index] ?? null,
    }))
    return { records, complete }
  }

  /** Answers after an arrival, in order, until `limit` or `maxBytes` are together. Throws when R2 does not answer. */
  async arrivals(number: number, after: number, limit: number, maxBytes: number): Promise<ArrivalWithRows[]> {
    const placed: Placed[] = []
    const placeOf = this.#placer(number)
    let bytes = 0
    for (const answer of this.#arrivals.after(number, after, limit)) {
      const place = placeOf(answer)
      placed.push({ answer, place })
      bytes += lengthOf(place)
      if (bytes >= maxBytes) break
    }
    const rows = await this.#fetch(number, placed)
    return rows === null ? [] : placed.map(({ answer }, index) => ({ ...answer, rows: rows[index] ?? null }))
  }

  /** In one go, so that nothing moves meanwhile. */
  #placeRecords(
    number: number,
    from: AnswerPosition | null,
    maxRows: number,
    maxBytes: number,
  ): { placed: Placed[]; complete: boolean } {
    const placed: Placed[] = []
    const placeOf = this.#placer(number)
    let rowCount = 0
    let bytes = 0
    for (const answer of this.#answers.recordsFrom(number, from)) {
      const place = placeOf(answer)
      placed.push({ answer, place })
      rowCount += answer.rowCount
      bytes += lengthOf(place)
      if (rowCount >= maxRows || bytes >= maxBytes) return { placed, complete: false }
    }
    return { placed, complete: true }
  }

  /** Says where answers' rows are. Neighbours mostly share a segment, so that the last one is remembered. */
  #placer(number: number): (answer: Arrival) => RowsPlace {
    const movedUpTo = this.#segments.movedUpTo(number)
    let segment: Segment | null = null
    return ({ arrival, ordinal }) => {
      if (arrival > movedUpTo) return { rows: this.#answers.rows(number, ordinal) }
      if (segment === null || arrival < segment.first || arrival > segment.last)
        segment = this.#segments.holding(number, arrival)
      if (segment === null) throw new Error('moved rows have a segment')
      const index = arrival - segment.first
      const start = index === 0 ? 0 : (segment.ends[index - 1] ?? 0)
      return { segment, start, end: segment.ends[index] ?? start }
    }
  }

  /** Each one's rows, with one read for each segment. Null: the query was erased meanwhile. */
  async #fetch(number: number, placed: readonly Placed[]): Promise<(Bytes | null)[] | null> {
    const deadline = new Deadline(SEGMENT_WITHIN_MS)
    const ranges = rangesOf(placed)
    const read = [...ranges].map(async ([key, { start, end }]) => {
      const range = { offset: start, length: end - start }
      const found = await this.#bucket.get(key, { range })
      return found === null ? null : ([key, await found.bytes()] as const)
    })
    const objects = new Map<string, Bytes>()
    for (const object of await deadline.run(Promise.all(read))) {
      if (object !== null) objects.set(object[0], object[1] as Bytes)
      else if (this.#answers.isErased(number)) return null
      else throw new Error('a segment of results is not in the archive')
    }
    return placed.map(({ place }) => {
      if ('rows' in place) return place.rows
      const { segment, start, end } = place
      const before = ranges.get(segment.key)?.start ?? 0
      return start === end ? null : (objects.get(segment.key)?.subarray(start - before, end - before) ?? null)
    })
  }
}

function lengthOf(place: RowsPlace): number {
  return 'rows' in place ? (place.rows?.length ?? 0) : place.end - place.start
}

/** What is to be read of each object: from the first byte that somebody needs to the last. */
function rangesOf(placed: readonly Placed[]): Map<string, { start: number; end: number }> {
  const ranges = new Map<string, { start: number; end: number }>()
  for (const { place } of placed) {
    if ('rows' in place || place.start === place.end) continue
    const known = ranges.get(place.segment.key) ?? place
    const [start, end] = [Math.min(known.start, place.start), Math.max(known.end, place.end)]
    ranges.set(place.segment.key, { start, end })
  }
  return ranges
}
