import { createHash } from 'node:crypto'

/** Chances in a row that follow from a seed (mulberry32): same seed, same row, in any process. */
export class Dice {
  #state: number

  constructor(seed: string) {
    this.#state = createHash('sha256').update(seed).digest().readUInt32BE(0)
  }

  /** A number in 0 … 1, 1 excluded. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }

  /** True with the given chance. */
  hits(chance: number): boolean {
    return this.next() < chance
  }

  /** A number in `low` … `high`. */
  between(low: number, high: number): number {
    return low + this.next() * (high - low)
  }

  /** One of the names, by share; shares need not add up to 1. */
  share<Name extends string>(shares: Readonly<Record<Name, number>>): Name {
    const entries = Object.entries(shares) as [Name, number][]
    let left = this.next() * entries.reduce((sum, [, share]) => sum + share, 0)
    for (const [name, share] of entries) {
      left -= share
      if (left < 0) return name
    }
    const [last] = entries.at(-1) ?? []
    if (last === undefined) throw new Error('no shares')
    return last
  }
}
