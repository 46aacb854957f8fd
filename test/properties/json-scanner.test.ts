/** The scanner against JSON.parse and against a visitor that walks through the value as it was written. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { concatBytes, textOf, utf8, type Bytes } from '../../src/lib/bytes.ts'
import { JsonScanner, type JsonVisitor, type ScanWish } from '../../src/lib/json-scanner.ts'
import { JsonStringStream } from '../../src/lib/json-string-stream.ts'
import { splitRows } from '../../src/queries/rows.ts'
import { check } from './check.ts'
import {
  arrayOf,
  cut,
  cutText,
  damaged,
  jsonText,
  parsed,
  pieceSizes,
  stringText,
  type JsonText,
} from './json-text.ts'

type Event = [what: string, path: string, detail: unknown]

/** What a visitor is told, with wishes taken in turn from a list. */
class Recorder implements JsonVisitor {
  readonly events: Event[] = []
  readonly #wishes: readonly ScanWish[]
  #asked = 0
  #pieces: string[] = []

  constructor(wishes: readonly ScanWish[]) {
    this.#wishes = wishes
  }

  enter(path: readonly (string | number)[], kind: string): ScanWish {
    this.#note('enter', path, kind)
    const wish = this.#wishes[this.#asked % this.#wishes.length] ?? 'skip'
    this.#asked += 1
    return wish
  }

  captured(path: readonly (string | number)[], value: { bytes: Bytes | null; totalBytes: number }): void {
    this.#note('captured', path, [value.bytes === null ? null : textOf(value.bytes), value.totalBytes])
  }

  piece(_path: readonly (string | number)[], bytes: Uint8Array): void {
    this.#pieces.push(Buffer.from(bytes).toString('latin1'))
  }

  left(path: readonly (string | number)[]): void {
    this.#note('left', path, Buffer.from(this.#pieces.join(''), 'latin1').toString())
    this.#pieces = []
  }

  #note(what: string, path: readonly (string | number)[], detail: unknown): void {
    this.events.push([what, JSON.stringify(path), detail])
  }
}

/** The same walk over the value as the generator knows it. */
function walk(
  visitor: JsonVisitor,
  path: (string | number)[],
  { kind, text, items, members }: JsonText,
): void {
  const wish = visitor.enter(path, kind)
  if (typeof wish === 'object') {
    const bytes = utf8(text)
    const fits = bytes.length <= wish.maxBytes
    visitor.captured?.(path, { bytes: fits ? bytes : null, totalBytes: bytes.length })
  } else if (wish === 'stream') {
    visitor.piece?.(path, utf8(text))
    visitor.left?.(path)
  } else if (wish === 'descend' && (kind === 'array' || kind === 'object')) {
    for (const [index, item] of items.entries()) walk(visitor, [...path, index], item)
    for (const member of members) walk(visitor, [...path, member.name], member.value)
    visitor.left?.(path)
  }
}

function scan(visitor: JsonVisitor, pieces: readonly Bytes[]): JsonScanner {
  const scanner = new JsonScanner(visitor)
  for (const piece of pieces) scanner.push(piece)
  scanner.end()
  return scanner
}

function faultOf(bytes: Bytes, sizes: readonly number[]) {
  return scan({ enter: () => 'descend' }, cut(bytes, sizes)).fault
}

const wishes = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.constant<ScanWish>('descend') },
    fc.constantFrom<ScanWish>('skip', 'stream', { maxBytes: 4 }, { maxBytes: 1_000_000 }),
  ),
  { minLength: 1, maxLength: 8 },
)

describe('the scanner', () => {
  it('tells of every value what was asked for, as it was written, in any pieces', () =>
    check(
      fc.property(jsonText, wishes, pieceSizes, (value, asked, sizes) => {
        const [told, expected] = [new Recorder(asked), new Recorder(asked)]
        const scanner = scan(told, cutText(value.text, sizes))
        walk(expected, [], value)
        expect(scanner.fault).toBeNull()
        expect(told.events).toEqual(expected.events)
      }),
      1_500,
    ))

  it('finds a fault where JSON.parse does, and at one place in any pieces', () =>
    check(
      fc.property(damaged(jsonText.map(({ text }) => text)), pieceSizes, (text, sizes) => {
        const fault = faultOf(utf8(text), sizes)
        expect(fault === null).toBe(parsed(textOf(utf8(text))) !== undefined)
        expect(fault).toEqual(faultOf(utf8(text), [1_000_000]))
      }),
      3_000,
    ))

  it('judges bytes that are not UTF-8 by what a lenient reader makes of them', () =>
    check(
      fc.property(
        jsonText,
        fc.nat(),
        fc.uint8Array({ maxLength: 3 }),
        pieceSizes,
        (value, position, odd, sizes) => {
          const bytes = utf8(value.text)
          const at = position % (bytes.length + 1)
          const body = concatBytes([bytes.subarray(0, at), odd, bytes.subarray(at)])
          expect(faultOf(body, sizes) === null).toBe(parsed(textOf(body)) !== undefined)
        },
      ),
      1_500,
    ))

  it('finds that any beginning of a value is not whole, unless JSON.parse takes it', () =>
    check(
      fc.property(jsonText, fc.nat(), pieceSizes, ({ text }, length, sizes) => {
        const beginning = text.slice(0, length % (text.length + 1))
        expect(faultOf(utf8(beginning), sizes) === null).toBe(parsed(textOf(utf8(beginning))) !== undefined)
      }),
      1_500,
    ))
})

describe('what is built on it', () => {
  it('rows are split where they were joined', () =>
    check(
      fc.property(fc.array(jsonText, { maxLength: 8 }), fc.constantFrom('', ' '), (rows, space) => {
        expect(splitRows(utf8(arrayOf(rows, space).text)).map(textOf)).toEqual(rows.map(({ text }) => text))
      }),
      500,
    ))

  it('a string that is streamed says what JSON.parse says, and ends where it is not ASCII', () =>
    check(
      fc.property(fc.oneof(stringText, asciiText), pieceSizes, (text, sizes) => {
        const stream = new JsonStringStream()
        const said: Uint8Array[] = []
        let isAscii = true
        for (const piece of cutText(text, sizes)) {
          const chars = isAscii ? stream.push(piece) : null
          if (chars === null) isAscii = false
          else said.push(chars)
        }
        const whole = JSON.parse(text) as string
        // Raw bytes beyond ASCII go through: whoever reads on refuses them.
        if (isAscii) expect(Buffer.concat(said).toString()).toBe(whole)
        else expect(Buffer.byteLength(whole)).toBeGreaterThan(whole.length)
      }),
      1_500,
    ))
})

const asciiText = fc
  .array(fc.constantFrom('A', '+', '/', '=', '\\/', '\\\\', '\\"', '\\u002b', '\\u0041', '\\n'), {
    maxLength: 12,
  })
  .map((pieces) => `"${pieces.join('')}"`)
