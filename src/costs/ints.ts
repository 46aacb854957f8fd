/** Lists of whole numbers as few bytes: seven bits a byte, the lowest first (LEB128). Pure. */

import type { Bytes } from '../lib/bytes.ts'

/** Packs numbers from 0 to 2^53 - 1. Others become 0, so that no claim of an agent can break a row. */
export class IntWriter {
  #bytes: number[] = []

  add(...values: readonly number[]): this {
    for (const value of values) {
      let rest = Number.isSafeInteger(value) && value > 0 ? value : 0
      while (rest >= 128) {
        this.#bytes.push((rest % 128) + 128)
        rest = Math.floor(rest / 128)
      }
      this.#bytes.push(rest)
    }
    return this
  }

  toBytes(): Bytes {
    return Uint8Array.from(this.#bytes)
  }
}

/** Reads them back. At the end of the bytes all numbers are 0. */
export class IntReader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  next(): number {
    let value = 0
    let scale = 1
    for (;;) {
      const byte = this.#bytes[this.#at] ?? 0
      this.#at += 1
      value += (byte % 128) * scale
      if (byte < 128) return value
      scale *= 128
    }
  }

  /** As many items as the next number says. */
  list<Item>(read: () => Item): Item[] {
    const items: Item[] = []
    for (let count = this.next(); count > 0; count -= 1) items.push(read())
    return items
  }
}
