/**
 * Base64 as it comes: standard alphabet, with padding, no line breaks (what osquery writes, spec 2.7), in pieces cut
 * anywhere, so that a big block never lies in memory twice.
 */

import type { Bytes } from '../lib/bytes.ts'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const PADDING = 0x3d
const NO_DIGIT = 0xff

const VALUE_OF = new Uint8Array(256).fill(NO_DIGIT)
for (let i = 0; i < ALPHABET.length; i += 1) VALUE_OF[ALPHABET.charCodeAt(i)] = i

export class Base64Stream {
  /** Bits of the group of four that is open. */
  #bits = 0
  /** Characters of the open group, padding included. */
  #chars = 0
  #padding = 0
  #ended = false
  #broken = false

  /** Decodes the next characters (ASCII); null once the text has stopped being base64, and ever after. */
  push(text: Uint8Array): Bytes | null {
    const decoded = new Uint8Array(Math.floor(((text.length + this.#chars) * 3) / 4) + 3)
    let length = 0
    let i = 0
    while (i < text.length && !this.#broken) {
      if (this.#chars === 0 && !this.#ended) {
        const quick = decodeGroups(text, i, decoded, length)
        i += quick.read
        length += quick.written
        if (i >= text.length) break
      }
      const group = this.#take(text[i] as number)
      i += 1
      for (let k = 0; k < group; k += 1) decoded[length + k] = (this.#bits >> (16 - 8 * k)) & 0xff
      length += group
      if (group > 0) this.#bits = 0
    }
    return this.#broken ? null : decoded.subarray(0, length)
  }

  /** Whether the text is whole: no group of four is open. */
  end(): boolean {
    return !this.#broken && this.#chars === 0
  }

  /** Takes one character; how many bytes the group has that it closes, or 0. */
  #take(char: number): number {
    const value = VALUE_OF[char] as number
    if (this.#ended) this.#broken = true
    else if (char === PADDING && this.#chars >= 2) this.#padding += 1
    else if (value === NO_DIGIT || this.#padding > 0) this.#broken = true
    if (this.#broken) return 0
    this.#bits = (this.#bits << 6) | (char === PADDING ? 0 : value)
    this.#chars += 1
    if (this.#chars < 4) return 0
    this.#chars = 0
    this.#ended = this.#padding > 0
    return 3 - this.#padding
  }
}

/** The fast way: whole groups of four digits. It stops before anything else. */
function decodeGroups(
  text: Uint8Array,
  from: number,
  decoded: Uint8Array,
  at: number,
): { read: number; written: number } {
  const lastGroup = text.length - 4
  let i = from
  let out = at
  while (i <= lastGroup) {
    const a = VALUE_OF[text[i] as number] as number
    const b = VALUE_OF[text[i + 1] as number] as number
    const c = VALUE_OF[text[i + 2] as number] as number
    const d = VALUE_OF[text[i + 3] as number] as number
    if ((a | b | c | d) === NO_DIGIT) break
    decoded[out] = (a << 2) | (b >> 4)
    decoded[out + 1] = ((b & 15) << 4) | (c >> 2)
    decoded[out + 2] = ((c & 3) << 6) | d
    i += 4
    out += 3
  }
  return { read: i - from, written: out - at }
}
