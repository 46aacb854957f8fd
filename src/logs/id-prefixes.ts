/**
 * The first eight bytes of event ids: what the index keeps of each line, to know where else it lies. Pure.
 * Two ids of sixteen random bytes have them in common once in 2^64 pairs.
 */

import type { Bytes } from '../lib/bytes.ts'

export const PREFIX_BYTES = 8

const HEX_DIGITS_PER_WORD = 8
const WORDS_PER_PREFIX = 2
/** The filter has a bit for each value of a prefix's lowest sixteen bits: 8 KiB, which stays in a core's first cache. */
const FILTER_BITS = 1 << 16
const FILTER_MASK = FILTER_BITS - 1

/** The prefixes of event ids (hexadecimal), one behind the other. */
export function prefixesOf(eventIds: readonly string[]): Bytes {
  const prefixes = new Uint8Array(eventIds.length * PREFIX_BYTES)
  const view = new DataView(prefixes.buffer)
  for (const [at, id] of eventIds.entries()) {
    const middle = HEX_DIGITS_PER_WORD
    view.setUint32(at * PREFIX_BYTES, Number.parseInt(id.slice(0, middle), 16))
    view.setUint32(at * PREFIX_BYTES + 4, Number.parseInt(id.slice(middle, 2 * middle), 16))
  }
  return prefixes
}

/** A few thousand prefixes that are looked for among millions: one pass over those, with a filter in front. */
export class PrefixSearch {
  readonly #wanted: Uint32Array
  readonly #filter = new Uint32Array(FILTER_BITS / 32)
  /** By its first word, where a wanted prefix stands; more than one where they share the word. */
  readonly #places = new Map<number, number[]>()

  constructor(prefixes: Bytes) {
    const wanted = wordsOf(prefixes.slice().buffer)
    this.#wanted = wanted
    for (let at = 0; at < wanted.length; at += WORDS_PER_PREFIX) {
      const word = wanted[at] ?? 0
      const bit = word & FILTER_MASK
      this.#filter[bit >>> 5] = (this.#filter[bit >>> 5] ?? 0) | (1 << (bit & 31))
      const places = this.#places.get(word)
      if (places === undefined) this.#places.set(word, [at])
      else places.push(at)
    }
  }

  /** Which of the wanted are among these prefixes: their places in the list, from 0. */
  find(prefixes: ArrayBuffer): number[] {
    const words = wordsOf(prefixes)
    const filter = this.#filter
    const found: number[] = []
    for (let at = 0; at < words.length; at += WORDS_PER_PREFIX) {
      const word = words[at] ?? 0
      const bit = word & FILTER_MASK
      if (((filter[bit >>> 5] ?? 0) & (1 << (bit & 31))) === 0) continue
      for (const place of this.#places.get(word) ?? []) {
        if (this.#wanted[place + 1] === words[at + 1]) found.push(place / WORDS_PER_PREFIX)
      }
    }
    return found
  }
}

/** Words in the machine's byte order: they are only compared with each other. */
function wordsOf(prefixes: ArrayBuffer): Uint32Array {
  return new Uint32Array(prefixes, 0, Math.floor(prefixes.byteLength / PREFIX_BYTES) * WORDS_PER_PREFIX)
}
