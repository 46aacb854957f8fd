/**
 * What the archive had in a range of time, hour by hour, oldest hour first: through the index, compacted or raw. A place
 * is [hour, the archive's sequence when that hour was begun, -lastMs, -sequence, lines, of]: inside of an hour objects
 * come newest first, as the index gives them.
 */

import { Deadline } from '../../lib/deadline.ts'
import type { IndexedRow } from '../archive-object.ts'
import { erasedMatcher } from '../erased-lines.ts'
import { LINE_TYPES, type ArchivedLine } from '../line.ts'
import type { LineSource, SourceStep } from './line-source.ts'
import { linesDone, stepsOfObject, type SourceContext } from './live-source.ts'
import type { Place } from './place.ts'

const HOUR_MS = 60 * 60_000
const ROWS_AT_ONCE = 100
const CALL_WITHIN_MS = 30_000
/** Past the last line of an object. */
const OBJECT_END = 1e12

export interface TimeRange {
  /** Received in [sinceMs, untilMs). */
  sinceMs: number
  untilMs: number
}

/** Where a replay begins. */
export function replayPlace({ sinceMs }: TimeRange): Place {
  return hourPlace(sinceMs - (sinceMs % HOUR_MS))
}

function hourPlace(hourMs: number): Place {
  return [hourMs, 0, 0, 0, 0, 0]
}

export class ReplaySource implements LineSource {
  readonly #context: SourceContext
  readonly #range: TimeRange

  constructor(context: SourceContext, range: TimeRange) {
    this.#context = context
    this.#range = range
  }

  async *stepsAfter(place: Place): AsyncGenerator<SourceStep> {
    let at = place
    for (let hourMs = Number(at[0]); hourMs < this.#range.untilMs; hourMs += HOUR_MS) {
      let begunAgain = true
      while (begunAgain) {
        const hour = new ReplayHour(this.#context, this.#range, hourMs)
        yield* hour.stepsAfter(at)
        begunAgain = hour.changed !== null
        at = [hourMs, hour.changed ?? 0, 0, 0, 0, 0]
      }
      at = hourPlace(hourMs + HOUR_MS)
      yield { line: null, after: at }
    }
  }
}

class ReplayHour {
  /** Set where objects went while this was read: the archive's sequence to begin the hour again at. */
  changed: number | null = null
  readonly #context: SourceContext
  readonly #range: TimeRange
  readonly #hourMs: number

  constructor(context: SourceContext, range: TimeRange, hourMs: number) {
    this.#hourMs = hourMs
    this.#range = range
    this.#context = context
  }

  async *stepsAfter(place: Place): AsyncGenerator<SourceStep> {
    const [, begunAt = 0, negativeLastMs = 0, negativeSequence = 0, lines = 0, of = 0] = place.map(Number)
    const begun = { sequence: -negativeSequence, lines, of }
    const isBegun = negativeLastMs !== 0
    let after = isBegun ? { lastMs: -negativeLastMs, sequence: nextSequence(begun) } : null
    let maxSequence = begunAt
    for (;;) {
      const found = await this.#find(maxSequence === 0 ? null : maxSequence, after)
      if (maxSequence > 0 && (isBegun || after !== null) && (await this.#hasChanged(maxSequence))) return
      maxSequence ||= found.maxSequence
      const context = { ...this.#context, isErased: erasedMatcher(found.erased) }
      for (const row of found.rows) {
        const placeAfter = (done: number, of: number): Place => [
          this.#hourMs,
          maxSequence,
          -row.lastMs,
          -row.sequence,
          done,
          of,
        ]
        const gone: IndexedRow[] = []
        const steps = stepsOfObject(
          { ...context, missed: () => void gone.push(row) },
          row,
          linesDone(row, begun),
          placeAfter,
        )
        yield* this.#inRange(steps)
        if (gone.length > 0 && (await this.#hasChanged(maxSequence))) return
        for (const { key, lines: missed } of gone) this.#context.missed({ key, lines: missed })
        yield { line: null, after: placeAfter(OBJECT_END, row.lines) }
      }
      if (found.next === null) return
      after = found.next
    }
  }

  /** Of an hour at the range's edge not every line is wanted. */
  async *#inRange(steps: AsyncGenerator<SourceStep>): AsyncGenerator<SourceStep> {
    for await (const step of steps) if (step.line === null || this.#isInRange(step.line)) yield step
  }

  #isInRange({ header }: ArchivedLine): boolean {
    const receivedAtMs = Date.parse(header.receivedAt)
    return receivedAtMs >= this.#range.sinceMs && receivedAtMs < this.#range.untilMs
  }

  /** Objects went, and their lines are in one that may be behind us: the hour has to be begun again. */
  async #hasChanged(maxSequence: number): Promise<boolean> {
    const archive = this.#context.env.ARCHIVE_INDEX.getByName(this.#context.environmentId)
    const range = { maxSequence, sinceMs: this.#hourMs, untilMs: this.#hourMs + HOUR_MS }
    if (!(await new Deadline(CALL_WITHIN_MS).run(archive.wasReplacedSince(range)))) return false
    this.changed = (await this.#find(null, null)).maxSequence
    return true
  }

  #find(maxSequence: number | null, after: { lastMs: number; sequence: number } | null) {
    const { env, environmentId, filter } = this.#context
    const archive = env.ARCHIVE_INDEX.getByName(environmentId)
    const found = archive.find({
      types: filter.types ?? LINE_TYPES,
      sinceMs: Math.max(this.#hourMs, this.#range.sinceMs),
      untilMs: Math.min(this.#hourMs + HOUR_MS, this.#range.untilMs),
      nodeId: null,
      name: null,
      maxSequence,
      after,
      limit: ROWS_AT_ONCE,
    })
    return new Deadline(CALL_WITHIN_MS).run(found)
  }
}

/** For the index to go on: after the object, or at it again where not all of its lines are done. */
function nextSequence({ sequence, lines }: { sequence: number; lines: number }): number {
  return lines >= OBJECT_END ? sequence : sequence + 1
}
