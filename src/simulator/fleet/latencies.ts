/** Durations in buckets that grow by 5 %: any number of them in little memory. */

const GROWTH = Math.log(1.05)
const SMALLEST_MS = 0.05

export class Latencies {
  readonly #buckets: number[] = []
  count = 0
  maxMs = 0

  add(durationMs: number): void {
    const bucket = Math.max(0, Math.ceil(Math.log(durationMs / SMALLEST_MS) / GROWTH))
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + 1
    this.count += 1
    this.maxMs = Math.max(this.maxMs, durationMs)
  }

  /** The duration that the share (0 … 1) of all does not exceed, to 5 %; 0 if there is none. */
  percentile(share: number): number {
    let left = share * this.count
    for (const [bucket, count = 0] of this.#buckets.entries()) {
      left -= count
      if (left <= 0 && count > 0) return Math.min(SMALLEST_MS * Math.exp(bucket * GROWTH), this.maxMs)
    }
    return this.maxMs
  }
}
