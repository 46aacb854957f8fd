/**
 * How many reads an isolate holds. A held read that its agent gave up on is cancelled by the runtime without running
 * any more of it, `finally` included, so that a place comes back by time too.
 */

/** A held read is a request in memory with a timer; an isolate has 128 MB for everything (design 4). */
export const MAX_HELD_READS = 500

export class Holds {
  readonly #endsAtMs = new Set<{ endsAtMs: number }>()

  /** A place until that time; null where all are taken. The returned function gives it back before. */
  take(endsAtMs: number, nowMs: number): (() => void) | null {
    if (this.#endsAtMs.size >= MAX_HELD_READS) this.#dropEnded(nowMs)
    if (this.#endsAtMs.size >= MAX_HELD_READS) return null
    const place = { endsAtMs }
    this.#endsAtMs.add(place)
    return () => this.#endsAtMs.delete(place)
  }

  #dropEnded(nowMs: number): void {
    for (const place of this.#endsAtMs) if (place.endsAtMs < nowMs) this.#endsAtMs.delete(place)
  }
}
