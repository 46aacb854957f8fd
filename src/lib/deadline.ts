/** Thrown when a binding did not answer in time. The reply layer turns it into `retry`. */
export class DeadlineExceeded extends Error {
  override readonly name = 'DeadlineExceeded'
}

/** Somebody who waits. */
interface Wait {
  endsAtMs: number
  giveUp: () => void
}

/**
 * The first look at who has waited too long comes after this, or when the first of them is due. So one timer is enough for
 * a request that waits for several things with limits of their own, one after another and inside of each other.
 */
const FIRST_LOOK_AFTER_MS = 1_000

/**
 * One point in time by which a request must be answered (design R10). Every binding call on the agent plane
 * runs under it, because a hung promise cannot be caught in any other way.
 */
export class Deadline {
  readonly #timeoutMs: number
  readonly #endsAtMs: number
  readonly #waits = new Set<Wait>()
  #timer: ReturnType<typeof setTimeout> | undefined
  #timerAtMs = 0

  constructor(timeoutMs: number, nowMs: number = Date.now()) {
    this.#timeoutMs = timeoutMs
    this.#endsAtMs = nowMs + timeoutMs
  }

  /** Milliseconds left, never negative; never more than there were, though the clock may have gone back. */
  remainingMs(nowMs: number = Date.now()): number {
    return Math.max(0, Math.min(this.#timeoutMs, this.#endsAtMs - nowMs))
  }

  /**
   * Waits for `work` until this deadline or for `atMostMs`, whichever is sooner.
   * Throws DeadlineExceeded when time runs out; the work itself goes on unobserved, so it must be idempotent.
   */
  run<T>(work: Promise<T>, atMostMs: number = Number.POSITIVE_INFINITY): Promise<T> {
    const nowMs = Date.now()
    const waitMs = Math.min(this.remainingMs(nowMs), atMostMs)
    // By hand: Promise.race and a promise of its own for the timer cost a log POST a quarter more.
    return new Promise<T>((resolve, reject) => {
      const giveUp = () => reject(new DeadlineExceeded(`no answer within ${waitMs} ms`))
      const wait = { endsAtMs: nowMs + waitMs, giveUp }
      this.#begin(wait, nowMs)
      // A binding's promise may be another kind of thenable.
      Promise.resolve(work).then(
        (value) => {
          this.#end(wait)
          resolve(value)
        },
        (error: unknown) => {
          this.#end(wait)
          reject(error as Error)
        },
      )
    })
  }

  #begin(wait: Wait, nowMs: number): void {
    this.#waits.add(wait)
    if (this.#timer === undefined) this.#lookAt(Math.min(wait.endsAtMs, nowMs + FIRST_LOOK_AFTER_MS), nowMs)
    else if (wait.endsAtMs < this.#timerAtMs) this.#lookAt(wait.endsAtMs, nowMs)
  }

  #end(wait: Wait): void {
    this.#waits.delete(wait)
    if (this.#waits.size > 0) return
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #lookAt(atMs: number, nowMs: number): void {
    clearTimeout(this.#timer)
    this.#timerAtMs = atMs
    this.#timer = setTimeout(() => this.#look(), atMs - nowMs)
  }

  #look(): void {
    this.#timer = undefined
    // At least the timer's time has come, whatever a clock says that went back meanwhile.
    const nowMs = Math.max(Date.now(), this.#timerAtMs)
    let nextAtMs = Number.POSITIVE_INFINITY
    for (const wait of this.#waits) {
      if (wait.endsAtMs <= nowMs) {
        this.#waits.delete(wait)
        wait.giveUp()
      } else {
        nextAtMs = Math.min(nextAtMs, wait.endsAtMs)
      }
    }
    if (this.#waits.size > 0) this.#lookAt(nextAtMs, nowMs)
  }
}
