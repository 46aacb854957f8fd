/**
 * One timer for all agents of a process. Ten thousand agents wait in five loops each; a timer and an abort listener on
 * one common signal for every wait would cost more than the agents' work.
 */

/** Waits end at the first tick after their time. */
const TICK_MS = 20

interface Wait {
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
  readonly signal: AbortSignal | undefined
  readonly onAbort: () => void
}

/** Waits in buckets by tick. */
export class Sleeper {
  readonly #waits = new Map<number, Set<Wait>>()
  readonly #timer: NodeJS.Timeout
  #tick = tickOf(performance.now())

  constructor() {
    this.#timer = setInterval(() => this.#advance(), TICK_MS)
  }

  /** Resolves after the time; rejects when the signal aborts first. For {@link AgentOptions.sleep}. */
  readonly sleep = (waitMs: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const tick = Math.max(tickOf(performance.now() + waitMs), this.#tick) + 1
      const bucket = this.#waits.get(tick) ?? new Set<Wait>()
      this.#waits.set(tick, bucket)
      const onAbort = () => {
        bucket.delete(wait)
        reject(signal?.reason)
      }
      const wait: Wait = { resolve, reject, signal, onAbort }
      bucket.add(wait)
      signal?.addEventListener('abort', onAbort, { once: true })
    })

  /** Waits that never end are forgotten. */
  close(): void {
    clearInterval(this.#timer)
    this.#waits.clear()
  }

  #advance(): void {
    const now = tickOf(performance.now())
    for (; this.#tick < now;) {
      this.#tick += 1
      const bucket = this.#waits.get(this.#tick)
      if (!bucket) continue
      this.#waits.delete(this.#tick)
      for (const wait of bucket) {
        wait.signal?.removeEventListener('abort', wait.onAbort)
        wait.resolve()
      }
    }
  }
}

function tickOf(timeMs: number): number {
  return Math.floor(timeMs / TICK_MS)
}
