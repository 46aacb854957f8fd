import { createHash } from 'node:crypto'

/** Deterministic choices for a seed: the same seed and label give the same answer in every process. */
export class SeededChoice {
  readonly #seed: string

  constructor(seed: string) {
    this.#seed = seed
  }

  /** An integer in 0 … below-1. */
  integer(label: string, below: number): number {
    return this.#digest(label).readUInt32BE(0) % below
  }

  /** One of the items. */
  pick<T>(label: string, items: readonly [T, ...T[]]): T {
    return items[this.integer(label, items.length)] ?? items[0]
  }

  /** Lower-case hex digits, at most 64. */
  hex(label: string, digits: number): string {
    return this.#digest(label).toString('hex').slice(0, digits)
  }

  /** A version 4 UUID in lower case. */
  uuid(label: string): string {
    const hex = this.hex(label, 32)
    const variant = '89ab'[Number.parseInt(hex.charAt(16), 16) % 4] ?? '8'
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`
  }

  #digest(label: string): Buffer {
    return createHash('sha256').update(`${this.#seed}\n${label}`).digest()
  }
}
