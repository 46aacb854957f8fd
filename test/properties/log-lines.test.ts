/** Log bodies against JSON.parse: every element of `data` once, its bytes unchanged, under an id of its own. */

import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { concatBytes, textOf, utf8, type Bytes } from '../../src/lib/bytes.ts'
import { archiveBody } from '../../src/logs/archive-body.ts'
import type { ArchiveWriter } from '../../src/logs/archive-writer.ts'
import { entriesOf, surveyBody } from '../../src/logs/body-survey.ts'
import { envelopeOf, EventIds, factsOfResult, linesOf } from '../../src/logs/line.ts'
import { LineWatches } from '../../src/logs/line-watch.ts'
import { NOTHING_KNOWN, sourceOf, UNKNOWN_NAME } from '../../src/logs/source-facts.ts'
import { BodyUnreadable, chunksOf, type StoredBody } from '../../src/logs/stored-body.ts'
import { originAt } from '../logs/support.ts'
import { check } from './check.ts'
import {
  arrayOf,
  cut,
  damaged,
  isObject,
  jsonText,
  objectOf,
  objectText,
  parsed,
  pieceSizes,
  quoted,
} from './json-text.ts'
import type { JsonText } from './json-text.ts'

const ENVIRONMENT = '0192f0e1-d2c3-7a6b-8c5d-9e8f00112233'
const NODE = '0192f0e1-d2c3-7a6b-8c5d-9e8f44556677'
const ORIGIN = originAt(ENVIRONMENT, NODE, Date.UTC(2026, 10, 21, 8, 30))

interface LogBody {
  text: string
  logType: string
  data: JsonText
}

/** A body of these entries, its members in any order, with others between. */
function bodyOf(data: fc.Arbitrary<JsonText>): fc.Arbitrary<LogBody> {
  return fc
    .record({
      data,
      logType: fc.constantFrom('result', 'status'),
      more: fc.array(fc.tuple(fc.constantFrom('"node_key"', '"da"', '"\\u0064ata_"', '""'), jsonText), {
        maxLength: 2,
      }),
      turns: fc.integer({ min: 0, max: 3 }),
      space: fc.constantFrom('', ' ', '\n'),
    })
    .map(({ data: entries, logType, more, turns, space }) => {
      const type: JsonText = { ...arrayOf([]), kind: 'string', text: quoted(logType) }
      const members: [string, JsonText][] = [['"data"', entries], ['"log_type"', type], ...more]
      const turned = [...members.slice(turns), ...members.slice(0, turns)]
      return { text: objectOf(turned, space).text, logType, data: entries }
    })
}

// Few different ones, so that many are identical.
const entry = fc.oneof(
  fc.constantFrom('{"name":"a"}', '{"name": "a"}', '{}').map(objectTextOf),
  fc
    .tuple(fc.constantFrom('"name"', '"action"', '"snapshot"', '"n"'), jsonText)
    .map((member) => objectOf([member])),
  objectText,
)

function objectTextOf(text: string): JsonText {
  return { ...objectOf([]), text }
}

const objects = fc.array(entry, { maxLength: 8 }).map((items) => arrayOf(items))
const anything = fc.array(fc.oneof(entry, jsonText), { maxLength: 6 }).map((items) => arrayOf(items))

/** A body as it lies in the inbox: plain or gzip, arriving in pieces. */
function stored(text: string | Bytes, sizes: readonly number[], isGzip: boolean): StoredBody {
  const plain = typeof text === 'string' ? utf8(text) : text
  const bytes = isGzip ? new Uint8Array(gzipSync(plain, { level: 1 })) : plain
  return {
    receivedBytes: bytes.length,
    raw: async () =>
      new ReadableStream<Uint8Array>({
        start(controller) {
          for (const piece of cut(bytes, sizes)) controller.enqueue(piece)
          controller.close()
        },
      }),
    content: async () => ({ bytes }),
  }
}

const asWritten = (data: JsonText) =>
  data.items.map(({ kind, text }, index) => ({ index, isObject: kind === 'object', text }))

describe('a log body', () => {
  it('is taken apart into the elements of data, each once and as it was written', () =>
    check(
      fc.asyncProperty(bodyOf(anything), pieceSizes, fc.boolean(), async (body, sizes, isGzip) => {
        const survey = await surveyBody(stored(body.text, sizes, isGzip))
        if (!survey.ok) throw new Error(survey.reason)
        const { logType, data, entries } = survey.value
        expect([logType, data]).toEqual([body.logType, body.data.items.length > 0 ? 'entries' : 'nothing'])
        const walked = await Array.fromAsync(entriesOf(stored(body.text, sizes, isGzip)))
        for (const found of [entries ?? [], walked]) {
          expect(found.map(({ bytes, ...rest }) => ({ ...rest, text: textOf(bytes ?? utf8('')) }))).toEqual(
            asWritten(body.data),
          )
        }
      }),
      250,
    ))

  it('of another shape is judged by what JSON.parse makes of it', () =>
    check(
      fc.asyncProperty(bodyOf(fc.oneof(jsonText, anything)), pieceSizes, async (body, sizes) => {
        const survey = await surveyBody(stored(body.text, sizes, false))
        if (!survey.ok) throw new Error(survey.reason)
        const { data } = JSON.parse(body.text) as { data: unknown }
        const isNothing = data === null || data === '' || (Array.isArray(data) && data.length === 0)
        expect(survey.value.data).toBe(isNothing ? 'nothing' : Array.isArray(data) ? 'entries' : 'unexpected')
      }),
      400,
    ))

  it('that is damaged is malformed where JSON.parse refuses it or makes no object of it', () =>
    check(
      fc.asyncProperty(damaged(bodyOf(objects).map(({ text }) => text)), pieceSizes, async (text, sizes) => {
        const value = parsed(textOf(utf8(text)))?.value
        expect((await surveyBody(stored(text, sizes, false))).ok).toBe(isObject(value))
      }),
      400,
    ))

  it('whose gzip is damaged is whole or unreadable, never half', () =>
    check(
      fc.asyncProperty(
        bodyOf(objects),
        pieceSizes,
        fc.nat(),
        fc.nat(),
        async ({ text }, sizes, position, flip) => {
          const packed = new Uint8Array(gzipSync(text))
          const at = position % packed.length
          const broken =
            flip % 2 === 0
              ? packed.slice(0, at)
              : packed.map((byte, index) => (index === at ? byte ^ (1 << (flip % 8)) : byte))
          const read = await Array.fromAsync(chunksOf(stored(broken, sizes, false))).then(
            (chunks) => textOf(concatBytes(chunks)),
            (error: unknown) => (error instanceof BodyUnreadable ? error.reason : error),
          )
          // Without the magic it is no gzip: then the bytes are the body, and no JSON.
          const asTheyAre = textOf(broken)
          expect([text, 'malformed', asTheyAre]).toContain(read)
        },
      ),
      400,
    ))
})

describe('event ids', () => {
  const lines = fc.array(fc.constantFrom('{"a":1}', '{"a": 1}', '{}', '0\n{}', '1\n{}'), { maxLength: 12 })
  const types = fc.constantFrom('status', 'result', 'snapshot' as const)

  async function idsOf(nodeId: string, type: 'status' | 'result' | 'snapshot', texts: readonly string[]) {
    const ids = new EventIds(nodeId)
    const given: string[] = []
    for (const text of texts) given.push(await ids.next(type, utf8(text)))
    return given
  }

  it('are distinct in a POST, the same when it is resent, and of a line and its number alone', () =>
    check(
      fc.asyncProperty(lines, types, async (texts, type) => {
        const ids = await idsOf(NODE, type, texts)
        expect(new Set(ids).size).toBe(texts.length)
        expect(await idsOf(NODE, type, texts)).toEqual(ids)
        // In another order the k-th of identical lines has the same id still.
        const sorted = await idsOf(NODE, type, texts.toSorted())
        expect(new Set(sorted)).toEqual(new Set(ids))
        const others = await idsOf(ENVIRONMENT, type, texts)
        expect(new Set([...ids, ...others]).size).toBe(2 * texts.length)
      }),
      300,
    ))
})

describe('archived lines', () => {
  const odd = fc.uint8Array({ maxLength: 4 }).map((bytes) => bytes.filter((byte) => byte >= 0x80))
  const hostname = fc.option(fc.string({ unit: 'binary', maxLength: 8 }))
  const name = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 8 }),
    fc.constantFrom(',"line":', '","line":{"', '\n', '"'),
  )

  it('come apart as they were put together, whatever host, name and line say', () =>
    check(
      fc.property(fc.array(fc.tuple(hostname, name, entry, odd), { maxLength: 5 }), (written) => {
        const lines = written.map(([, , { text }, bytes]) =>
          // Line breaks between tokens become spaces: one line is one record.
          concatBytes([utf8(`${text.replaceAll(/[\r\n]/g, ' ').slice(0, -1)},"":"`), bytes, utf8('"}')]),
        )
        const ndjson = written.map(([host, queryName], index) =>
          envelopeOf(
            sourceOf(ORIGIN, { ...NOTHING_KNOWN, hostname: host }),
            { type: 'result', name: queryName, eventId: String(index), index, ...UNKNOWN_NAME },
            lines[index] ?? utf8(''),
          ),
        )
        const read = [...linesOf(concatBytes(ndjson))]
        expect(read.map(({ line }) => Buffer.from(line))).toEqual(lines.map((line) => Buffer.from(line)))
        expect(read.map(({ header }) => [header.hostname, header.name, header.eventId])).toEqual(
          written.map(([host, queryName], index) => [host, queryName, String(index)]),
        )
      }),
      400,
    ))

  it('say of a result what JSON.parse says of it', () =>
    check(
      fc.property(entry, ({ text }) => {
        const value = JSON.parse(text) as Record<string, unknown>
        const { type, name: found } = factsOfResult(utf8(text))
        const isSnapshot = Object.hasOwn(value, 'snapshot') || value['action'] === 'snapshot'
        expect(type).toBe(isSnapshot ? 'snapshot' : 'result')
        expect(found).toBe(typeof value['name'] === 'string' ? value['name'] : '')
      }),
      600,
    ))

  it('are those of the body: each element once, ids the same when the body comes again', () =>
    check(
      fc.asyncProperty(bodyOf(objects), pieceSizes, fc.boolean(), async (body, sizes, isGzip) => {
        const [first, again] = await Promise.all(
          [[1_000_000], sizes].map((some) => archived(stored(body.text, some, isGzip))),
        )
        expect(again).toEqual(first)
        expect(first?.map(({ line }) => line)).toEqual(
          body.data.items.map(({ text }) => text.replaceAll(/[\r\n]/g, ' ')),
        )
        expect(first?.map(({ index }) => index)).toEqual(body.data.items.map((_item, index) => index))
        expect(new Set(first?.map(({ eventId }) => eventId)).size).toBe(body.data.items.length)
      }),
      300,
    ))
})

/** What the archive gets of a body whose elements are all objects; nothing else is touched then. */
async function archived(body: StoredBody) {
  const envelopes: Bytes[] = []
  const writer: Pick<ArchiveWriter, 'add'> = {
    add: async (_sourceId, _origin, _facts, envelope) => void envelopes.push(envelope),
  }
  const delivery = { sourceId: 's', origin: ORIGIN, body, inboxKey: null }
  await archiveBody({} as Env, delivery, NOTHING_KNOWN, writer as ArchiveWriter, new LineWatches([]))
  return [...linesOf(concatBytes(envelopes))].map(({ header, line }) => ({ ...header, line: textOf(line) }))
}
