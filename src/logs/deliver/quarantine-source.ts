/** What a sink's destination refused, to be sent again. A place is [number of the object, lines]. */

import { ObjectGone } from '../object-reader.ts'
import type { LineSource, SourceStep } from './line-source.ts'
import type { Place } from './place.ts'
import { readSinkQuarantine } from './sink-quarantine.ts'

export const QUARANTINE_START: Place = [0, 0]

/** The objects that are sent to their end. */
export function passedObjects(place: Place): number {
  return Number(place[0])
}

export class QuarantineSource implements LineSource {
  readonly #env: Env
  readonly #keys: readonly string[]

  constructor(env: Env, keys: readonly string[]) {
    this.#env = env
    this.#keys = keys
  }

  async *stepsAfter([number = 0, lines = 0]: Place): AsyncGenerator<SourceStep> {
    let skip = Number(lines)
    for (const [at, key] of this.#keys.entries()) {
      if (at < Number(number)) continue
      yield* this.#stepsOf(at, key, skip)
      yield { line: null, after: [at + 1, 0] }
      skip = 0
    }
  }

  async *#stepsOf(at: number, key: string, skip: number): AsyncGenerator<SourceStep> {
    let lines = 0
    try {
      for await (const { header, line } of readSinkQuarantine(this.#env, key)) {
        lines += 1
        if (lines > skip) yield { line: { header, line }, after: [at, lines] }
      }
    } catch (error) {
      // Purged meanwhile: somebody has decided.
      if (!(error instanceof ObjectGone)) throw error
    }
  }
}
