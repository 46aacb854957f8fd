/**
 * JSON as texts, written in every way that the grammar allows: what JSON.parse makes of them is known, and so is where
 * in the text each value lies. A generator of values and a writer would only write as our own writer does.
 */

import fc from 'fast-check'
import { utf8, type Bytes } from '../../src/lib/bytes.ts'
import type { JsonKind } from '../../src/lib/json-grammar.ts'

export interface JsonText {
  kind: JsonKind
  /** As written, without the space around it. */
  text: string
  /** An array's elements. */
  items: JsonText[]
  /** An object's members in the order of writing; the name is what the written one says. */
  members: { name: string; value: JsonText }[]
}

const SPACE = fc.constantFrom('', '', '', ' ', '\n', '\t', '\r\n ')

const ESCAPES = String.raw`\" \\ \/ \b \f \n \r \t \u0041 \u00e9 \u2028 \ud83d\ude00 \ud800 \u0000`.split(' ')

/** A string as written: plain characters, escapes, both. */
export const stringText: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      { weight: 3, arbitrary: fc.string({ unit: 'grapheme', maxLength: 5 }).map(plain) },
      { weight: 1, arbitrary: fc.constantFrom(...ESCAPES) },
    ),
    { maxLength: 5 },
  )
  .map((pieces) => `"${pieces.join('')}"`)

/** What may stand in a string as it is. */
function plain(text: string): string {
  return JSON.stringify(text).slice(1, -1)
}

export const numberText: fc.Arbitrary<string> = fc.oneof(
  fc.stringMatching(/^-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,4})?([eE][+-]?[0-9]{1,2})?$/),
  fc.constantFrom('18446744073709551615', '-9223372036854775808', '1.0', '-0', '1e400'),
)

const scalar: fc.Arbitrary<JsonText> = fc.oneof(
  stringText.map((text) => leaf('string', text)),
  numberText.map((text) => leaf('number', text)),
  fc.constantFrom('true', 'false', 'null').map((text) => leaf('literal', text)),
)

function leaf(kind: JsonKind, text: string): JsonText {
  return { kind, text, items: [], members: [] }
}

/** A name as written and a value. */
type Member = [nameText: string, value: JsonText]

/** An array of these, with the space that surrounds each. */
export function arrayOf(items: readonly JsonText[], space = ''): JsonText {
  const text = `[${space}${items.map((item) => space + item.text + space).join(',')}]`
  return { kind: 'array', text, items: [...items], members: [] }
}

/** An object of these members, with the space that surrounds each. */
export function objectOf(members: readonly Member[], space = ''): JsonText {
  const written = members.map(
    ([nameText, value]) => space + nameText + space + ':' + space + value.text + space,
  )
  return {
    kind: 'object',
    text: `{${space}${written.join(',')}}`,
    items: [],
    members: members.map(([nameText, value]) => ({ name: JSON.parse(nameText) as string, value })),
  }
}

/** A text as JSON writes it: for members whose names a test chooses. */
export function quoted(text: string): string {
  return JSON.stringify(text)
}

const { value } = fc.letrec<{ value: JsonText; object: JsonText }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    fc.tuple(fc.array(tie('value'), { maxLength: 4 }), SPACE).map(([items, space]) => arrayOf(items, space)),
    tie('object'),
  ),
  object: fc
    .tuple(fc.array(fc.tuple(stringText, tie('value')), { maxLength: 4 }), SPACE)
    .map(([members, space]) => objectOf(members, space)),
}))

/** Any JSON value. */
export const jsonText: fc.Arbitrary<JsonText> = value

/** A JSON object with any members. */
export const objectText: fc.Arbitrary<JsonText> = fc
  .tuple(fc.array(fc.tuple(stringText, value), { maxLength: 4 }), SPACE)
  .map(([members, space]) => objectOf(members, space))

/** Sizes of the pieces in which bytes arrive; they are used over and over. */
export const pieceSizes: fc.Arbitrary<number[]> = fc.oneof(
  fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 }),
  fc.constant<number[]>([1_000_000]),
)

/** Bytes in pieces of these sizes. Each piece is its own memory, as the network's are. */
export function cut(bytes: Bytes, sizes: readonly number[]): Bytes[] {
  const pieces: Bytes[] = []
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? bytes.length
    pieces.push(bytes.slice(at, at + size))
    at += size
  }
  return pieces
}

/** A text with some of its characters taken out, put in or changed. */
export function damaged(text: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const letters = fc.constantFrom(...'{}[]",:\\/-+.0123eEtrufalsn \n\u0000\u00e9'.split(''))
  const edit = fc.tuple(fc.nat(), fc.constantFrom(0, 1), fc.oneof(letters, fc.constant('')))
  return fc.tuple(text, fc.array(edit, { minLength: 1, maxLength: 3 })).map(([whole, edits]) =>
    edits.reduce((before, [position, removed, added]) => {
      const at = position % (before.length + 1)
      return before.slice(0, at) + added + before.slice(at + removed)
    }, whole),
  )
}

/** What JSON.parse says; undefined where the text is none. */
export function parsed(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) as unknown }
  } catch {
    // JSON.parse has one failure: the text is no JSON.
    return undefined
  }
}

/** A body in pieces. */
export function cutText(text: string, sizes: readonly number[]): Bytes[] {
  return cut(utf8(text), sizes)
}

/** Whether a value is what agents send: neither null nor an array. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
