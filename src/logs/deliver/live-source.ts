/**
 * The archive as it grows: raw objects by their sequence. A place is [sequence, lines, of]: the first object that is
 * not read to its end, how many of its lines are done, and how many it has.
 */

import { Deadline } from '../../lib/deadline.ts'
import type { NextRows } from '../archive-followers.ts'
import type { IndexedRow } from '../archive-object.ts'
import { erasedMatcher } from '../erased-lines.ts'
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
  return [sequence, 0, 0]
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
    let begun: Begun | null = {
      sequence: Number(place[0]),
      lines: Number(place[1]),
      of: Number(place[2] ?? 0),
    }
    for (;;) {
      const { rows, through, erased } = await this.rowsAfter(passed)
      const context = { ...this.#context, isErased: erasedMatcher(erased) }
      for (const row of rows) {
        const placeAfter = (lines: number, of: number): Place => [row.sequence, lines, of]
        yield* stepsOfObject(context, row, linesDone(row, begun), placeAfter)
        yield { line: null, after: livePlace(row.sequence + 1) }
        begun = null
        passed = row.sequence
      }
      if (through <= passed) return
      yield { line: null, after: livePlace(through + 1) }
      passed = through
    }
  }
}

/** How much of an object is done, and of how many lines it had then. */
interface Begun {
  sequence: number
  lines: number
  of: number
}

/** An object that has other lines than then - some were erased - is read from its beginning again. */
export function linesDone(row: Pick<IndexedRow, 'sequence' | 'lines'>, begun: Begun | null): number {
  return begun !== null && row.sequence === begun.sequence && row.lines === begun.of ? begun.lines : 0
}

/** What reading an object takes beside its source. */
interface ObjectContext extends SourceContext {
  isErased: ReturnType<typeof erasedMatcher>
}

/**
 * The wanted lines of one object, after the first `skip` of all. One that was written anew meanwhile, because lines of
 * it were erased, is read as it is now. One that cannot be had is told of, and has none.
 */
export async function* stepsOfObject(
  context: ObjectContext,
  row: IndexedRow,
  skip: number,
  placeAfter: (lines: number, of: number) => Place,
): AsyncGenerator<SourceStep> {
  if (!context.filter.mayHold(row)) return
  try {
    yield* stepsOfContent(context, row, skip, placeAfter)
  } catch (error) {
    if (!(error instanceof ObjectGone) && !(error instanceof ObjectDamaged)) throw error
    const archive = context.env.ARCHIVE_INDEX.getByName(context.environmentId)
    const now = await new Deadline(CALL_WITHIN_MS).run(archive.object(row.sequence))
    if (now === null || now.key === row.key) context.missed(row)
    else yield* stepsOfObject(context, now, 0, placeAfter)
  }
}

async function* stepsOfContent(
  { env, filter, isErased }: ObjectContext,
  row: IndexedRow,
  skip: number,
  placeAfter: (lines: number, of: number) => Place,
): AsyncGenerator<SourceStep> {
  let lines = 0
  for await (const piece of readObject(env, row, new Deadline(CALL_WITHIN_MS))) {
    for (const line of linesOf(piece)) {
      lines += 1
      if (lines <= skip || !filter.wants(line)) continue
      const { nodeId, receivedAt } = line.header
      if (!isErased(nodeId, Date.parse(receivedAt))) yield { line, after: placeAfter(lines, row.lines) }
    }
  }
}
