/** Resident memory of workerd while something runs. */

import { percentile } from '../stats.ts'
import { useOf } from '../workerd-process.ts'

const SAMPLE_EVERY_MS = 250
const MIB = 1_024 * 1_024

export interface MemoryUse {
  /** MiB; medians of the second and of the last quarter of the time. */
  early: number
  late: number
  most: number
}

/** Samples from now on. */
export class Memory {
  readonly #samples: number[] = []
  readonly #timer: NodeJS.Timeout

  constructor(pid: number | null) {
    this.#timer = setInterval(() => {
      const use = useOf(pid)
      if (use !== null) this.#samples.push(use.residentBytes / MIB)
    }, SAMPLE_EVERY_MS)
  }

  use(): MemoryUse {
    return memoryUse(this.#samples)
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}

/** NaN where nothing was sampled. Pure. */
export function memoryUse(samples: readonly number[]): MemoryUse {
  const quarter = (from: number) =>
    percentile(
      samples.slice(Math.floor(samples.length * from), Math.ceil(samples.length * (from + 0.25))),
      0.5,
    )
  return { early: quarter(0.25), late: quarter(0.75), most: percentile(samples, 1) }
}
