import { Buffer } from 'node:buffer'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { strictTextOf, textOf } from '../../src/lib/bytes.ts'
import { bytesOfRawText, rawTextOf } from '../../src/lib/raw-text.ts'
import { check } from '../properties/check.ts'

const RUNS = 2_000

/** Bytes that are now and then UTF-8: random ones never are. */
const bytes = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 4 }),
      fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
    ),
  )
  .map((pieces) => new Uint8Array(Buffer.concat(pieces)))

describe('a raw text', () => {
  it('is the bytes it was, whatever they are', () =>
    check(
      fc.property(bytes, (given) => {
        expect(bytesOfRawText(rawTextOf(given))).toEqual(given)
      }),
      RUNS,
    ))

  it('of UTF-8 is its text, and shows as the decoder shows it', () =>
    check(
      fc.property(bytes, (given) => {
        const strict = strictTextOf(given)
        const raw = rawTextOf(given)
        expect(raw.isWellFormed()).toBe(strict !== null)
        if (strict !== null) expect(raw).toBe(strict)
        // The decoder makes one U+FFFD of the beginning of a sequence, and we one of each byte.
        expect(raw.toWellFormed().replace(/\ufffd+/g, '?')).toBe(textOf(given).replace(/\ufffd+/g, '?'))
      }),
      RUNS,
    ))

  it.each([
    ['a byte of Latin-1', [0x61, 0xe9, 0x62], 'a\udce9b'],
    ['an overlong slash', [0xc0, 0xaf], '\udcc0\udcaf'],
    ['a surrogate in three bytes', [0xed, 0xb2, 0x80], '\udced\udcb2\udc80'],
    ['beyond U+10FFFF', [0xf4, 0x90, 0x80, 0x80], '\udcf4\udc90\udc80\udc80'],
    ['a sequence that is cut off', [0x78, 0xe2, 0x82], 'x\udce2\udc82'],
  ])('keeps %s', (_name, given, text) => {
    expect(rawTextOf(Uint8Array.from(given))).toBe(text)
    expect([...bytesOfRawText(text)]).toEqual(given)
  })

  it('has U+FFFD for a surrogate that stands for no byte', () => {
    expect(textOf(bytesOfRawText('a\ud800b'))).toBe('a\ufffdb')
  })
})
