/** How long those who keep up are made to wait for those who nearly do: a tenth of the time at most. Pure. */

const MAX_MS = 1_000
const REFILLED_SHARE = 0.1

export class Patience {
  #leftMs = MAX_MS
  #countedAtMs: number

  constructor(nowMs: number = Date.now()) {
    this.#countedAtMs = nowMs
  }

  get hasLeft(): boolean {
    return this.leftMs() > 0
  }

  leftMs(nowMs: number = Date.now()): number {
    this.#leftMs = Math.min(MAX_MS, this.#leftMs + REFILLED_SHARE * (nowMs - this.#countedAtMs))
    this.#countedAtMs = nowMs
    return this.#leftMs
  }

  spend(ms: number): void {
    this.#leftMs -= ms
  }
}
