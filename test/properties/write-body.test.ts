/** The reader of a distributed write against JSON.parse: every row once and as it was written, whatever else is there. */

import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { WriteBodyReader } from '../../src/agent/write-body.ts'
import { textOf } from '../../src/lib/bytes.ts'
import { check } from './check.ts'
import { arrayOf, cutText, damaged, jsonText, objectOf, objectText, pieceSizes, quoted } from './json-text.ts'
import type { JsonText } from './json-text.ts'

interface Body {
  text: string
  /** The rows of each id as they were written. */
  rows: Map<string, string[]>
}

// Some are what every object inherits: an answer's members are those of the body alone.
const id = fc.constantFrom('oeq1-a', 'q', '7', '', 'a"b', 'é', 'constructor', 'toString', '__proto__')
const status = fc.constantFrom('0', '1', '"0"', '"12"', 'null', '"x"', '-1', '1.5', '{}')
const message = fc.constantFrom('""', '"no such table: foo"', '"é\\n"', '7', 'null')
const stats = fc.constantFrom('{}', '{"wall_time_ms":3}', '""', '[1]', 'null')

/** What a query's value may be: rows, nothing as old agents write it, and what is no answer's shape. */
const answerText = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.array(fc.oneof(objectText, jsonText), { maxLength: 4 }).map((rows) => arrayOf(rows)),
  },
  { weight: 1, arbitrary: jsonText },
)

function byId(value: fc.Arbitrary<JsonText>): fc.Arbitrary<[string, JsonText][]> {
  return fc.uniqueArray(fc.tuple(id, value), { maxLength: 4, selector: ([name]) => name })
}

const raw = (text: fc.Arbitrary<string>): fc.Arbitrary<JsonText> =>
  text.map((written) => ({ kind: 'literal', text: written, items: [], members: [] }))

const body: fc.Arbitrary<Body> = fc
  .record({
    queries: byId(answerText),
    statuses: fc.option(byId(raw(status))),
    messages: fc.option(byId(raw(message))),
    stats: fc.option(byId(raw(stats))),
    nodeKey: fc.option(fc.constantFrom('"oen1-key"', '7', 'null', '"n\\u004bey"')),
    more: fc.option(jsonText),
    space: fc.constantFrom('', ' '),
    order: fc.array(fc.nat(), { minLength: 6, maxLength: 6 }),
  })
  .map(({ queries, nodeKey, more, space, order, ...sides }) => {
    const object = (entries: [string, JsonText][]) =>
      objectOf(
        entries.map(([name, value]) => [quoted(name), value]),
        space,
      )
    const members: [string, JsonText][] = [['queries', object(queries)]]
    for (const [name, entries] of Object.entries(sides))
      if (entries !== null) members.push([name, object(entries)])
    if (nodeKey !== null) members.push(['node_key', { ...arrayOf([]), text: nodeKey }])
    if (more !== null) members.push(['more', more])
    const shuffled = members.toSorted(([a], [b]) => weight(order, a) - weight(order, b))
    return {
      text: objectOf(
        shuffled.map(([name, value]) => [quoted(name), value]),
        space,
      ).text,
      rows: new Map(
        queries.map(([name, { items }]) => [name, items.filter(isObject).map(({ text }) => text)]),
      ),
    }
  })

function weight(order: readonly number[], name: string): number {
  return order[['queries', 'statuses', 'messages', 'stats', 'node_key', 'more'].indexOf(name)] ?? 0
}

function isObject({ kind }: JsonText): boolean {
  return kind === 'object'
}

function read(text: string, sizes: readonly number[]): WriteBodyReader {
  const reader = new WriteBodyReader()
  for (const piece of cutText(text, sizes)) reader.push(piece)
  return reader
}

async function answersOf(reader: WriteBodyReader) {
  const answers = (await reader.answers()).map(({ rows, carves: _carves, ...rest }) => ({
    ...rest,
    rows: rows === null ? null : textOf(gunzipSync(rows)),
  }))
  return answers.toSorted((a, b) => (a.id < b.id ? -1 : 1))
}

/** What the body says, read by JSON.parse; the rows come from the generator, which knows how they are written. */
function expectedAnswers({ text, rows }: Body) {
  const whole = JSON.parse(text) as Record<string, Record<string, unknown>>
  const own = (member: string, name: string): unknown =>
    new Map(Object.entries(whole[member] ?? {})).get(name)
  return [...new Set([...rows.keys(), ...Object.keys(whole['statuses'] ?? {})])].sort().map((name) => {
    const kept = rows.get(name) ?? []
    const said = own('messages', name)
    return {
      id: name,
      status: statusOf(own('statuses', name)),
      message: typeof said === 'string' ? said : '',
      stats: statsOf(own('stats', name)),
      rowCount: kept.length,
      truncated: false,
      rows: kept.length === 0 ? null : `[${kept.join(',')}]`,
    }
  })
}

function statusOf(value: unknown): number {
  if (value === undefined || value === null) return 0
  const number = value === '' ? Number.NaN : Number(value)
  return (typeof value === 'string' || typeof value === 'number') && Number.isInteger(number) ? number : 1
}

function statsOf(value: unknown): string {
  const isPlain = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isPlain ? JSON.stringify(value) : '{}'
}

describe('a distributed write', () => {
  it('is read as JSON.parse reads it, with every row as it was written, in any pieces', () =>
    check(
      fc.asyncProperty(body, pieceSizes, async (written, sizes) => {
        const reader = read(written.text, sizes)
        expect(reader.end()).toBeNull()
        const { node_key: nodeKey } = JSON.parse(written.text) as Record<string, unknown>
        expect(reader.nodeKey).toBe(typeof nodeKey === 'string' ? nodeKey : '')
        expect(await answersOf(reader)).toEqual(expectedAnswers(written))
      }),
      600,
    ))

  it('that is damaged is read as the pieces it came in do not matter, and never throws', () =>
    check(
      fc.asyncProperty(damaged(body.map(({ text }) => text)), pieceSizes, async (text, sizes) => {
        const [reader, whole] = [read(text, sizes), read(text, [1_000_000])]
        expect(reader.end()).toEqual(whole.end())
        expect(reader.nodeKey).toBe(whole.nodeKey)
        expect(await answersOf(reader)).toEqual(await answersOf(whole))
      }),
      600,
    ))
})
