import { setTimeout as sleep } from 'node:timers/promises'
import type { Runtime } from './runtime.ts'

const SAMPLE_MS = 500

/** workerd's resident memory over some time: the median, because collections make single samples jump. */
export class ResidentLevel {
  readonly #runtime: Pick<Runtime, 'residentBytes'>

  constructor(runtime: Pick<Runtime, 'residentBytes'>) {
    this.#runtime = runtime
  }

  /** Of the second half of this time; null where memory cannot be read. */
  async during(ms: number): Promise<number | null> {
    await sleep(ms / 2)
    const samples: number[] = []
    for (const endMs = Date.now() + ms / 2; Date.now() < endMs; await sleep(SAMPLE_MS)) {
      const bytes = this.#runtime.residentBytes()
      if (bytes !== null) samples.push(bytes)
    }
    return samples.toSorted((a, b) => a - b)[Math.floor(samples.length / 2)] ?? null
  }
}
