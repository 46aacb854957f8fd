/**
 * Lets pieces of work happen one after the other. A Durable Object takes the next event while the one before awaits
 * anything but its own storage, so what reads, awaits and then writes must not be overtaken by its like.
 */
export class Turns {
  #last: Promise<unknown> = Promise.resolve()

  /** Runs `work` when all that came before is over, whether that failed or not. Never call it from inside a turn. */
  run<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work, work)
    this.#last = done
    return done
  }
}
