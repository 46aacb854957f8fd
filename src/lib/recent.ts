/**
 * A bounded memory of values by text, as two generations: what was not asked for while one generation filled up is
 * forgotten with it. Cheaper than an exact least-recently-used order, which would move an entry at every look.
 */
export class Recent<T> {
  readonly #perGeneration: number
  #young = new Map<string, T>()
  #old = new Map<string, T>()

  /** Remembers at most twice as many values. */
  constructor(perGeneration: number) {
    this.#perGeneration = perGeneration
  }

  get(key: string): T | undefined {
    const value = this.#young.get(key)
    if (value !== undefined) return value
    const aged = this.#old.get(key)
    if (aged !== undefined) this.set(key, aged)
    return aged
  }

  set(key: string, value: T): void {
    if (this.#young.size >= this.#perGeneration && !this.#young.has(key)) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(key, value)
  }
}
