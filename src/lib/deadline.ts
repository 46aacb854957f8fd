/** Thrown when a binding did not answer in time. The reply layer turns it into `retry`. */
export class DeadlineExceeded extends Error {
  override readonly name = 'DeadlineExceeded'
}

/** The timer of a deadline's end. It runs only while somebody waits for it. */
interface End {
  reached: Promise<never>
  timer: ReturnType<typeof setTimeout>
  waiting: number
}

/**
 * One point in time by which a request must be answered (design R10). Every binding call on the agent plane
 * runs under it, because a hung promise cannot be caught in any other way.
 */
export class Deadline {
  readonly #endsAtMs: number
  #end: End | null = null

  constructor(timeoutMs: number, nowMs: number = Date.now()) {
    this.#endsAtMs = nowMs + timeoutMs
  }

  /** Milliseconds left, never negative. */
  remainingMs(nowMs: number = Date.now()): number {
    return Math.max(0, this.#endsAtMs - nowMs)
  }

  /**
   * Waits for `work` until this deadline or for `atMostMs`, whichever is sooner.
   * Throws DeadlineExceeded when time runs out; the work itself goes on unobserved, so it must be idempotent.
   */
  async run<T>(work: Promise<T>, atMostMs: number = Number.POSITIVE_INFINITY): Promise<T> {
    const remainingMs = this.remainingMs()
    // A request waits for several things inside of each other: one timer for all of them, since a timer costs as much
    // as checking a node key.
    const end = atMostMs < remainingMs ? startEnd(atMostMs) : (this.#end ??= startEnd(remainingMs))
    end.waiting += 1
    try {
      return await Promise.race([work, end.reached])
    } finally {
      end.waiting -= 1
      if (end.waiting === 0) {
        clearTimeout(end.timer)
        if (this.#end === end) this.#end = null
      }
    }
  }
}

function startEnd(waitMs: number): End {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new DeadlineExceeded(`no answer within ${waitMs} ms`)), waitMs)
  return { reached: promise, timer, waiting: 0 }
}
