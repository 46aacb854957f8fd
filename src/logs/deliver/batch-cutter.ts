/** Cuts what a source gives into batches. What is read but not yet wanted waits here for the next call. */

import type { ArchivedLine } from '../line.ts'
import type { LineSource, SourceStep } from './line-source.ts'
import { comparePlaces, type Place } from './place.ts'

export interface CutLine {
  line: ArchivedLine
  after: Place
}

/** Lines between two places; none, where nothing there was wanted. */
export interface Cut {
  start: Place
  end: Place
  lines: CutLine[]
  bytes: number
}

export interface CutLimits {
  maxBytes: number
  maxLines: number
}

/** Objects and hours without a wanted line after which a batch ends: its end is then kept, and time is looked at. */
const MAX_EMPTY_STEPS = 500

export class BatchCutter {
  readonly #steps: AsyncGenerator<SourceStep>
  #place: Place
  #waiting: SourceStep | null = null
  #ended = false

  constructor(source: LineSource, start: Place) {
    this.#place = start
    this.#steps = source.stepsAfter(start)
  }

  /** Where the next batch begins. */
  get place(): Place {
    return this.#place
  }

  /** Whether the source had no more: another cutter may find some. */
  get isAtEnd(): boolean {
    return this.#ended && this.#waiting === null
  }

  /**
   * The next batch: whatever there is up to the limits, at least one line however long. None of its lines may be wanted
   * (a long stretch of others). Null where the source has no more for now.
   */
  async next(limits: CutLimits): Promise<Cut | null> {
    const cut = await this.#cut((read, { line }) => isFull(read, line, limits))
    return comparePlaces(cut.start, cut.end) === 0 ? null : cut
  }

  /** The batch that was planned to end there. */
  async until(end: Place): Promise<Cut> {
    const cut = await this.#cut((_, { after }) => comparePlaces(after, end) > 0)
    // It is over there even where its last lines are gone by now.
    this.#place = end
    return { ...cut, end }
  }

  /** Lets go of what is being read. */
  async close(): Promise<void> {
    this.#ended = true
    await this.#steps.return(undefined)
  }

  /** Takes steps until one is not to be in this batch; that one waits for the next. */
  async #cut(endsBefore: (read: Cut, step: SourceStep) => boolean): Promise<Cut> {
    const cut: Cut = { start: this.#place, end: this.#place, lines: [], bytes: 0 }
    for (let empty = 0; empty < MAX_EMPTY_STEPS;) {
      const step = await this.#take()
      if (step === null) break
      if (endsBefore(cut, step)) {
        this.#waiting = step
        break
      }
      const { line, after } = step
      cut.end = after
      if (line === null) empty += 1
      else {
        cut.lines.push({ line, after })
        cut.bytes += line.line.length
      }
    }
    this.#place = cut.end
    return cut
  }

  async #take(): Promise<SourceStep | null> {
    const waiting = this.#waiting
    this.#waiting = null
    if (waiting !== null || this.#ended) return waiting
    const { done, value } = await this.#steps.next()
    if (done !== true) return value
    this.#ended = true
    return null
  }
}

function isFull(read: Cut, line: ArchivedLine | null, { maxBytes, maxLines }: CutLimits): boolean {
  if (line === null || read.lines.length === 0) return false
  return read.lines.length >= maxLines || read.bytes + line.line.length > maxBytes
}
