/** Thrown when a binding did not answer in time. The reply layer turns it into `retry`. */
export class DeadlineExceeded extends Error {
  override readonly name = 'DeadlineExceeded'
}

/**
 * One point in time by which a request must be answered (design R10). Every binding call on the agent plane
 * runs under it, because a hung promise cannot be caught in any other way.
 */
export class Deadline {
  readonly #endsAtMs: number

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
    const waitMs = Math.min(this.remainingMs(), atMostMs)
    let timer: ReturnType<typeof setTimeout> | undefined
    const timeout = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new DeadlineExceeded(`no answer within ${waitMs} ms`)), waitMs)
    })
    try {
      return await Promise.race([work, timeout])
    } finally {
      clearTimeout(timer)
    }
  }
}
