import { takeRoom } from './in-flight.ts'

/** Room grows in such steps: each take is a function to give it back. */
const STEP_BYTES = 256 * 1_024

/** One request's share of the isolate's room (in-flight.ts), which grows as the request turns out to need it. */
export class Room {
  readonly #givers: (() => void)[] = []
  #bytes = 0

  /** Makes sure that so many bytes have room; false where there is none. */
  covers(bytes: number): boolean {
    if (bytes <= this.#bytes) return true
    const more = Math.max(bytes - this.#bytes, this.#bytes === 0 ? 0 : STEP_BYTES)
    const give = takeRoom(more)
    if (give === null) return false
    this.#givers.push(give)
    this.#bytes += more
    return true
  }

  /** Gives everything back. */
  release(): void {
    for (const give of this.#givers.splice(0)) give()
    this.#bytes = 0
  }
}
