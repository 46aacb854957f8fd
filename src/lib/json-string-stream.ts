/**
 * What a JSON string says, from the pieces of its bytes as the scanner streams them: quotes taken off, escapes
 * resolved. For strings that are all ASCII; anything else ends it.
 */

import { BACKSLASH, QUOTE } from './json-grammar.ts'
import { concatBytes } from './bytes.ts'

const SIMPLE_ESCAPES = new Map(
  Object.entries({ '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }).map(
    ([letter, char]) => [letter.charCodeAt(0), char.charCodeAt(0)],
  ),
)
/** `\` and what follows it, at most `\uXXXX`. */
const UNICODE_ESCAPE_CHARS = 6
const HIGHEST_ASCII = 0x7f

export class JsonStringStream {
  #opened = false
  /** The escape that the last piece ended inside of. */
  #open: number[] = []

  /** The next characters; null where an escape names a character that is not ASCII. */
  push(piece: Uint8Array): Uint8Array | null {
    let text = piece
    if (!this.#opened && text.length > 0) {
      this.#opened = true
      text = text.subarray(1)
    }
    const closes = text.length > 0 && text.at(-1) === QUOTE && !this.#endsEscaped(text)
    if (closes) text = text.subarray(0, -1)
    if (this.#open.length === 0 && !text.includes(BACKSLASH)) return text
    return this.#unescape(text)
  }

  /** Whether the quote at the end belongs to an escape. */
  #endsEscaped(text: Uint8Array): boolean {
    let backslashes = 0
    for (let i = text.length - 2; i >= 0 && text[i] === BACKSLASH; i -= 1) backslashes += 1
    if (backslashes === text.length - 1 && this.#open.length === 1) backslashes += 1
    return backslashes % 2 === 1
  }

  #unescape(text: Uint8Array): Uint8Array | null {
    const said = new Uint8Array(text.length)
    let length = 0
    for (const byte of text) {
      if (this.#open.length === 0) {
        if (byte === BACKSLASH) this.#open.push(byte)
        else {
          said[length] = byte
          length += 1
        }
        continue
      }
      this.#open.push(byte)
      const char = this.#closedEscape()
      if (char === null) continue
      if (char > HIGHEST_ASCII) return null
      said[length] = char
      length += 1
      this.#open = []
    }
    return concatBytes([said.subarray(0, length)])
  }

  /** The character of the escape, null while it is open. */
  #closedEscape(): number | null {
    const simple = SIMPLE_ESCAPES.get(this.#open[1] ?? 0)
    if (simple !== undefined) return simple
    if (this.#open.length < UNICODE_ESCAPE_CHARS) return null
    return Number.parseInt(String.fromCharCode(...this.#open.slice(2)), 16)
  }
}
