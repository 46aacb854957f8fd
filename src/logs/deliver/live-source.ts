/**
 * The archive as it grows: raw objects by their sequence. A place is [sequence, lines]: the first object that is not
 * read to its end, and how many of its lines are done.
 */

import { Deadline } from '../../lib/deadline.ts'
import type { NextRows } from '../archive-followers.ts'
import type { IndexedRow } from '../archive-object.ts'
import { linesOf } from '../line.ts'
import { ObjectDamaged, ObjectGone, readObject } from '../object-reader.ts'
import type { LineFilter } from './line-filter.ts'
import type { LineSource, SourceStep } from './line-source.ts'
import type { Place } from './place.ts'

/** Rows that are asked for at once. */
const ROWS_AT_ONCE = 100
/** The index answers in milliseconds; an object of some megabytes is read in less than this. */
const CALL_WITHIN_MS = 30_000

export function livePlace(sequence: number): Place {
  return [sequence, 0]
}

/** The sequence up to which everything is read. */
export function passedSequence(place: Place): number {
  return Number(place[0]) - 1
}

export interface SourceContext {
  env: Env
  environmentId: string
  filter: LineFilter
  /** Told of objects that are gone or damaged: their lines cannot be had any more. */
  missed: (row: Pick<IndexedRow, 'key' | 'lines'>) => void
}

export class LiveSource implements LineSource {
  readonly #context: SourceContext
  readonly #sinkId: string
  /** Up to which sequence everything was delivered. */
  readonly #passed: () => number

  constructor(context: SourceContext, sinkId: string, passed: () => number) {
    this.#context = context
    this.#sinkId = sinkId
    this.#passed = passed
  }

  /** The next rows of objects, and up to where they are all. */
  async rowsAfter(after: number): Promise<NextRows> {
    const { env, environmentId, filter } = this.#context
    const follower = { kind: 'sink', name: this.#sinkId } as const
    const query = { passed: this.#passed(), after, types: filter.types, limit: ROWS_AT_ONCE }
    const archive = env.ARCHIVE_INDEX.getByName(environmentId)
    return new Deadline(CALL_WITHIN_MS).run(archive.nextFor(follower, query))
  }

  async *stepsAfter(place: Place): AsyncGenerator<SourceStep> {
    let passed = passedSequence(place)
    let skip = Number(place[1])
    for (;;) {
      const { rows, through } = await this.rowsAfter(passed)
      for (const row of rows) {
        if (row.sequence > passed + 1) skip = 0
        yield* stepsOfObject(this.#context, row, skip, (lines) => [row.sequence, lines])
        yield { line: null, after: livePlace(row.sequence + 1) }
        skip = 0
        passed = row.sequence
      }
      if (through <= passed) return
      yield { line: null, after: livePlace(through + 1) }
      passed = through
      skip = 0
    }
  }
}

/**
 * The wanted lines of one object, after the first `skip` of all. An object that cannot be had is told of, and has none.
 */
export async function* stepsOfObject(
  { env, filter, missed }: SourceContext,
  row: IndexedRow,
  skip: number,
  placeAfter: (lines: number) => Place,
): AsyncGenerator<SourceStep> {
  if (!filter.mayHold(row)) return
  let lines = 0
  try {
    for await (const piece of readObject(env, row, new Deadline(CALL_WITHIN_MS))) {
      for (const line of linesOf(piece)) {
        lines += 1
        if (lines > skip && filter.wants(line)) yield { line, after: placeAfter(lines) }
      }
    }
  } catch (error) {
    if (!(error instanceof ObjectGone) && !(error instanceof ObjectDamaged)) throw error
    missed(row)
  }
}
