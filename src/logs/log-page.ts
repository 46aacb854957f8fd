/**
 * One page of log lines being put together: newest first, each event id once, never more in memory than the page.
 * Pure. Lines may be offered in any order; what is final is said by `ready` and `finish`.
 */

import type { ArchivedLine, LineHeader } from './line.ts'

/** A place in the order of lines: by time received, then by place in the POST, then by id; all descending. */
export interface LinePlace {
  receivedAtMs: number
  index: number
  eventId: string
}

export interface PageLine extends ArchivedLine {
  place: LinePlace
}

/** A reply's lines come to no more than this, unless one alone does. An isolate has 128 MB for everything. */
const MAX_PAGE_BYTES = 16 * 1_024 * 1_024
/** Sorting is put off until this many times the page has gathered. */
const SLACK = 2

/** Negative where `a` comes before (is newer than) `b`. */
export function comparePlaces(a: LinePlace, b: LinePlace): number {
  if (a.receivedAtMs !== b.receivedAtMs) return b.receivedAtMs - a.receivedAtMs
  if (a.index !== b.index) return b.index - a.index
  return a.eventId < b.eventId ? 1 : a.eventId > b.eventId ? -1 : 0
}

export function placeOf({ receivedAt, index, eventId }: LineHeader): LinePlace {
  return { receivedAtMs: Date.parse(receivedAt), index, eventId }
}

export class LogPage {
  readonly #limit: number
  readonly #start: LinePlace | null
  /** Ids that a page before has shown. */
  readonly #shown = new Set<string>()
  readonly #lines = new Map<string, PageLine>()
  #bytes = 0
  /** Lines from here on belong to a later page: there was no room for them. */
  #floor: LinePlace | null = null

  /** A page of lines after `start`, where the page before ended; null: from the newest. */
  constructor(limit: number, start: LinePlace | null) {
    this.#limit = limit
    this.#start = start
  }

  /** Offers a line that matches. Of two with one id the newer counts, so that a resend is shown once. */
  offer({ header, line }: ArchivedLine): void {
    const place = placeOf(header)
    const { eventId } = header
    if (this.#start !== null && comparePlaces(place, this.#start) <= 0) {
      this.#shown.add(eventId)
      this.#drop(eventId)
      return
    }
    if (this.#shown.has(eventId)) return
    if (this.#floor !== null && comparePlaces(place, this.#floor) > 0) return
    const known = this.#lines.get(eventId)
    if (known !== undefined && comparePlaces(known.place, place) <= 0) return
    this.#drop(eventId)
    // A copy, so that the object which it points into may go.
    this.#lines.set(eventId, { header, line: line.slice(), place })
    this.#bytes += line.length
    if (this.#lines.size > SLACK * this.#limit || this.#bytes > SLACK * MAX_PAGE_BYTES) this.#trim()
  }

  /** The ids of the lines that it holds. */
  eventIds(): string[] {
    return [...this.#lines.keys()]
  }

  /** Takes lines out that another page has shown, and takes them no more. */
  leaveOut(eventIds: Iterable<string>): void {
    for (const eventId of eventIds) {
      this.#shown.add(eventId)
      this.#drop(eventId)
    }
  }

  /**
   * Whether the page is full with lines received after `boundaryMs`: everything newer has been offered. It is also
   * when it has turned lines away, though others have been left out since.
   */
  ready(boundaryMs: number): boolean {
    if (this.#floor !== null && this.#floor.receivedAtMs > boundaryMs) return true
    if (this.#lines.size < this.#limit && this.#bytes < MAX_PAGE_BYTES) return false
    let count = 0
    let bytes = 0
    for (const { place, line } of this.#lines.values()) {
      if (place.receivedAtMs <= boundaryMs) continue
      count += 1
      bytes += line.length
    }
    return count >= this.#limit || bytes >= MAX_PAGE_BYTES
  }

  /**
   * The page. `boundaryMs` says that older objects were not read, so lines received then or before must wait for the
   * next page; null: everything was read. `next` is where the next page begins; null: there is none.
   */
  finish(boundaryMs: number | null): { lines: PageLine[]; next: LinePlace | null } {
    const sorted = this.#sorted()
    const final = boundaryMs === null ? sorted : sorted.filter(({ place }) => place.receivedAtMs > boundaryMs)
    const lines = final.slice(0, fitting(final, this.#limit))
    if (lines.length < final.length) return { lines, next: lines.at(-1)?.place ?? null }
    const floor = this.#floor
    if (floor !== null && (boundaryMs === null || floor.receivedAtMs > boundaryMs))
      return { lines, next: floor }
    return {
      lines,
      next: boundaryMs === null ? null : { receivedAtMs: boundaryMs, index: AFTER_ALL, eventId: '' },
    }
  }

  #sorted(): PageLine[] {
    return [...this.#lines.values()].sort((a, b) => comparePlaces(a.place, b.place))
  }

  #trim(): void {
    const sorted = this.#sorted()
    const keep = fitting(sorted, this.#limit)
    for (const { header } of sorted.slice(keep)) this.#drop(header.eventId)
    if (keep < sorted.length) this.#floor = sorted[keep - 1]?.place ?? null
  }

  #drop(eventId: string): void {
    const known = this.#lines.get(eventId)
    if (known === undefined) return
    this.#bytes -= known.line.length
    this.#lines.delete(eventId)
  }
}

/** A place before all lines of its millisecond. */
const AFTER_ALL = Number.MAX_SAFE_INTEGER

/** How many of these lines one page takes: at least one. */
function fitting(lines: readonly PageLine[], limit: number): number {
  let bytes = 0
  let count = 0
  for (const { line } of lines) {
    bytes += line.length
    if (count >= limit || (count > 0 && bytes > MAX_PAGE_BYTES)) break
    count += 1
  }
  return count
}
