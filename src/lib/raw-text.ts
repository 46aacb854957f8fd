/**
 * Texts that keep bytes which are not UTF-8: each such byte is a lone surrogate (U+DC80 to U+DCFF), which no UTF-8 can
 * stand for, so that what was read as a text can be written as the bytes it was. Python calls this `surrogateescape`.
 */

import { concatBytes, strictTextOf, textOf, utf8, type Bytes } from './bytes.ts'

const ESCAPE = 0xdc00

/** The text of bytes. Only bytes that are not UTF-8 make it other than their text. */
export function rawTextOf(bytes: Uint8Array): string {
  return strictTextOf(bytes) ?? escapedTextOf(bytes)
}

/** The bytes of such a text. A lone surrogate that stands for no byte becomes U+FFFD. */
export function bytesOfRawText(text: string): Bytes {
  if (text.isWellFormed()) return utf8(text)
  // In unicode mode the class finds lone surrogates only, and splitting keeps what a group has.
  const parts = text.split(/([\udc80-\udcff]+)/u)
  return concatBytes(parts.map((part, index) => (index % 2 === 0 ? utf8(part) : escapedBytes(part))))
}

function escapedBytes(escapes: string): Bytes {
  return Uint8Array.from(escapes, (escape) => escape.charCodeAt(0) - ESCAPE)
}

function escapedTextOf(bytes: Uint8Array): string {
  const parts: string[] = []
  let from = 0
  for (let at = 0; at < bytes.length;) {
    const length = sequenceLength(bytes, at)
    if (length > 0) at += length
    else {
      if (at > from) parts.push(textOf(bytes.subarray(from, at)))
      parts.push(String.fromCharCode(ESCAPE + (bytes[at] ?? 0)))
      at += 1
      from = at
    }
  }
  parts.push(textOf(bytes.subarray(from)))
  return parts.join('')
}

/** The length of the well-formed sequence that begins here; 0: there is none (Unicode 15, table 3-7). */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const lead = bytes[at] ?? 0
  if (lead < 0x80) return 1
  const length =
    lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3 : lead >= 0xf0 && lead < 0xf5 ? 4 : 0
  if (length === 0 || at + length > bytes.length) return 0
  const second = bytes[at + 1] ?? 0
  // No overlong forms, no surrogates, nothing beyond U+10FFFF.
  const lowest = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80
  const highest = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf
  if (second < lowest || second > highest) return 0
  for (let i = at + 2; i < at + length; i += 1) if (((bytes[i] ?? 0) & 0xc0) !== 0x80) return 0
  return length
}
