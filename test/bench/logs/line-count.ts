/** Which lines somebody has seen, how often, and under which event id. Pure; small, for a million lines and more. */

/** Of an event id, as many digits as a number holds exactly. */
const ID_DIGITS = 13

export interface LineCount {
  /** Different lines that were seen. */
  lines: number
  missing: number
  /** Times that a line was seen again. */
  again: number
  /** Different event ids. */
  eventIds: number
  /** Lines that came under another event id than before. */
  otherIds: number
  /** Lines that nobody sent. */
  strangers: number
}

/** Counts the lines with the numbers [first, first + count). */
export class LineCounter {
  readonly #first: number
  readonly #times: Uint16Array
  readonly #ids: Float64Array
  #lines = 0
  #again = 0
  #otherIds = 0
  #strangers = 0

  constructor(first: number, count: number) {
    this.#first = first
    this.#times = new Uint16Array(count)
    this.#ids = new Float64Array(count)
  }

  /** Different lines so far. */
  get lines(): number {
    return this.#lines
  }

  take(number: number, eventId: string): void {
    const at = number - this.#first
    const times = this.#times[at]
    if (times === undefined) {
      this.#strangers += 1
      return
    }
    const id = Number.parseInt(eventId.slice(0, ID_DIGITS), 16)
    if (times === 0) {
      this.#lines += 1
      this.#ids[at] = id
    } else {
      this.#again += 1
      if (this.#ids[at] !== id) this.#otherIds += 1
    }
    this.#times[at] = times + 1
  }

  /** Whether both know the same event id of each line that both have seen. */
  hasSameIdsAs(other: LineCounter): boolean {
    return this.#times.every((times, at) => {
      if (times === 0 || (other.#times[at] ?? 0) === 0) return true
      return this.#ids[at] === other.#ids[at]
    })
  }

  /** What was seen, of so many that were sent: the first ones. */
  count(sent = this.#times.length): LineCount {
    const seen = this.#ids.filter((_, at) => (this.#times[at] ?? 0) > 0).sort()
    return {
      lines: this.#lines,
      missing: sent - this.#lines,
      again: this.#again,
      eventIds: seen.reduce((sum, id, at) => sum + (at === 0 || id !== seen[at - 1] ? 1 : 0), 0),
      otherIds: this.#otherIds,
      strangers: this.#strangers,
    }
  }
}
