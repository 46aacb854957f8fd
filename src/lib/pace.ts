/**
 * Long computations give others their turn: one isolate answers agents and operators alike, and what computes without
 * a pause keeps all of them waiting.
 */

export class Pace {
  readonly #every: number
  #done = 0

  /** `every`: units of work after which others are let in. */
  constructor(every: number) {
    this.#every = every
  }

  /** Notes that so much was done; waits for one turn of the event loop where others are due. */
  async after(units: number): Promise<void> {
    this.#done += units
    if (this.#done < this.#every) return
    this.#done = 0
    await new Promise((resolve) => setTimeout(resolve, 0))
  }
}
