/** Many hexadecimal ids in little memory: 48 bits of each, which is enough to tell some millions apart. */
const HEX_DIGITS = 12

export class IdSet {
  readonly #ids = new Set<number>()

  get size(): number {
    return this.#ids.size
  }

  add(id: string): void {
    this.#ids.add(numberOf(id))
  }

  has(id: string): boolean {
    return this.#ids.has(numberOf(id))
  }

  /** How many of these are not in the other. */
  missingIn(other: IdSet): number {
    let missing = 0
    for (const id of this.#ids) if (!other.#ids.has(id)) missing += 1
    return missing
  }
}

function numberOf(id: string): number {
  return Number.parseInt(id.slice(0, HEX_DIGITS), 16)
}
