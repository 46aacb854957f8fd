/**
 * How many reads an isolate holds, or other requests that wait. One that its agent gave up on is cancelled by the runtime
 * without running any more of it, `finally` included, so that a place comes back by time too.
 */

/** A held read is a request in memory with a timer; an isolate has 128 MB for everything (design 4). */
export const MAX_HELD_READS = 500

export class Holds {
  readonly #endsAtMs = new Set<{ endsAtMs: number }>()
  readonly #most: number

  constructor(most = MAX_HELD_READS) {
    this.#most = most
  }

  /** A place until that time; null where all are taken. The returned function gives it back before. */
  take(endsAtMs: number, nowMs: number): (() => void) | null {
    if (this.#endsAtMs.size >= this.#most) this.#dropEnded(nowMs)
    if (this.#endsAtMs.size >= this.#most) return null
    const place = { endsAtMs }
    this.#endsAtMs.add(place)
    return () => this.#endsAtMs.delete(place)
  }

  #dropEnded(nowMs: number): void {
    for (const place of this.#endsAtMs) if (place.endsAtMs < nowMs) this.#endsAtMs.delete(place)
  }
}
