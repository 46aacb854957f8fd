/** Which event ids were shown lately, in bounded memory: two generations, of which the older is forgotten. Pure. */

export class SeenIds {
  readonly #maxIds: number
  #newer = new Set<string>()
  #older = new Set<string>()

  /** Remembers at least `maxIds / 2` and at most `maxIds` ids. */
  constructor(maxIds: number) {
    this.#maxIds = maxIds
  }

  /** Notes an id. False where it was noted before. */
  isNew(id: string): boolean {
    if (this.#newer.has(id) || this.#older.has(id)) return false
    if (this.#newer.size >= this.#maxIds / 2) {
      this.#older = this.#newer
      this.#newer = new Set()
    }
    this.#newer.add(id)
    return true
  }
}
