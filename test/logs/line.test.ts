import { describe, expect, it } from 'vitest'
import { concatBytes, textOf, utf8 } from '../../src/lib/bytes.ts'
import { envelopeOf, EventIds, factsOfResult, linesOf } from '../../src/logs/line.ts'
import { originAt, sourceAt } from './support.ts'

const ENVIRONMENT = '0a000000-0000-4000-8000-000000000001'
const NODE = '0b000000-0000-4000-8000-000000000002'
const OTHER_NODE = '0b000000-0000-4000-8000-000000000003'
const LINE = utf8('{"name":"a","columns":{"x":"1"},"action":"added"}')

describe('event ids', () => {
  it('are the same for the same line of the same node, whenever it is sent', async () => {
    const [first, again] = [new EventIds(NODE), new EventIds(NODE)]
    expect(await first.next('result', LINE)).toBe(await again.next('result', LINE))
  })

  it('have a fixed form: readers of years to come compare them', async () => {
    expect(await new EventIds(NODE).next('result', LINE)).toBe('839219098ba2867c1a8d8e6a8406245a')
  })

  it('tell identical lines of one POST apart, by number', async () => {
    const once = new EventIds(NODE)
    const ids = [
      await once.next('result', LINE),
      await once.next('result', LINE),
      await once.next('result', LINE),
    ]
    expect(new Set(ids).size).toBe(3)
    const resent = new EventIds(NODE)
    expect([await resent.next('result', LINE), await resent.next('result', LINE)]).toEqual(ids.slice(0, 2))
  })

  it('differ by node, type and a single byte', async () => {
    const ids = [
      await new EventIds(NODE).next('result', LINE),
      await new EventIds(OTHER_NODE).next('result', LINE),
      await new EventIds(NODE).next('status', LINE),
      await new EventIds(NODE).next('result', concatBytes([LINE, utf8(' ')])),
    ]
    expect(new Set(ids).size).toBe(4)
  })
})

describe('facts of a result entry', () => {
  it.each([
    [
      'event',
      '{"name":"pack/sec/users","columns":{"name":"inner"},"action":"added"}',
      'result',
      'pack/sec/users',
    ],
    ['batch', '{"diffResults":{"removed":[],"added":[]},"name":"usb"}', 'result', 'usb'],
    ['batch of old agents', '{"diffResults":{"removed":"","added":""},"name":"usb"}', 'result', 'usb'],
    ['snapshot', '{"snapshot":[{"days":"3"}],"action":"snapshot","name":"uptime"}', 'snapshot', 'uptime'],
    ['empty snapshot of old agents', '{"snapshot":"","action":"snapshot","name":"u"}', 'snapshot', 'u'],
    ['snapshot as event', '{"name":"u","columns":{},"action":"snapshot"}', 'snapshot', 'u'],
    ['no name', '{"columns":{}}', 'result', ''],
    ['a name that is no text', '{"name":7}', 'result', ''],
    ['an escaped name', String.raw`{"na\u006de":"caf\u00e9"}`, 'result', 'café'],
    ['nothing at all', '{}', 'result', ''],
  ])('%s', (_shape, entry, type, name) => {
    expect(factsOfResult(utf8(entry))).toEqual({ type, name })
  })

  it.each([
    ['a result', '{"name":"n","action":"added","columns":{"x":"|"}}', 'result'],
    ['a snapshot', '{"name":"n","snapshot":[{"x":"|"}]}', 'snapshot'],
  ])('%s too long to be parsed whole', (_shape, entry, type) => {
    expect(factsOfResult(utf8(entry.replace('|', 'x'.repeat(100_000))))).toEqual({ type, name: 'n' })
  })
})

describe('envelopes', () => {
  const origin = originAt(ENVIRONMENT, NODE, Date.UTC(2026, 10, 21, 8, 30, 0, 7))
  const name = 'a"b,"line":x'
  const facts = { type: 'result', name, eventId: '00', index: 3, pack: 'p', query: 'q' } as const

  it('have the line last, spliced in as it is', () => {
    const line = utf8('{"b":18446744073709551615, "a" : "\\u00e9"}')
    const known = sourceAt(origin, { hostname: 'web-17', tags: ['prod', 'web'], configurationVersion: 7 })
    expect(textOf(envelopeOf(known, facts, line))).toBe(
      `{"format":2,"eventId":"00","environment":"${ENVIRONMENT}","nodeId":"${NODE}","hostname":"web-17",` +
        '"platform":"linux","tags":["prod","web"],"receivedAt":"2026-11-21T08:30:00.007Z","type":"result",' +
        '"name":"a\\"b,\\"line\\":x","pack":"p","query":"q","configurationVersion":7,"index":3,"line":{"b":18446744073709551615, "a" : "\\u00e9"}}\n',
    )
  })

  it('come apart again, whatever is in them', () => {
    const lines = ['{"x":",\\"line\\":"}', '{"line":{"line":1}}', '{}'].map(utf8)
    const odd = new Uint8Array([...utf8('{"x":"'), 0xff, 0xfe, ...utf8('"}')])
    const ndjson = concatBytes([...lines, odd].map((line) => envelopeOf(sourceAt(origin), facts, line)))
    const read = [...linesOf(ndjson)]
    expect(read.map(({ line }) => [...line])).toEqual([...lines, odd].map((line) => [...line]))
    expect(read[0]?.header).toMatchObject({ name: 'a"b,"line":x', hostname: null, index: 3 })
  })

  it('of the format before are read, with nothing known of what it did not have', () => {
    const before = utf8(
      `{"format":1,"eventId":"00","environment":"${ENVIRONMENT}","nodeId":"${NODE}","hostname":null,` +
        '"platform":"linux","receivedAt":"2026-11-21T08:30:00.007Z","type":"status","name":"","index":0,"line":{}}\n',
    )
    const [line] = [...linesOf(before)]
    expect(line?.header).toMatchObject({
      nodeId: NODE,
      tags: [],
      pack: null,
      query: null,
      configurationVersion: null,
    })
  })

  it('stay on one line: a break between tokens becomes a space', () => {
    const envelope = envelopeOf(sourceAt(origin), facts, utf8('{\r\n  "a": "x\\n"\n}'))
    expect(textOf(envelope)).toMatch(/"line":\{ {4}"a": "x\\n" \}\}\n$/)
  })
})
