/** What agents send, before anybody understands it: gzip or plain, whole or broken, in any pieces, with any headers. */

import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { headerKeyOf } from '../../src/agent/authenticate.ts'
import { integerMember, readSmallObject, textMember } from '../../src/agent/body.ts'
import { MAX_SMALL_BODY_BYTES } from '../../src/agent/constants.ts'
import { salvageNodeKey } from '../../src/agent/salvage.ts'
import { textOf, utf8, type Bytes } from '../../src/lib/bytes.ts'
import { gunzip, gzip } from '../../src/lib/compression.ts'
import { Deadline } from '../../src/lib/deadline.ts'
import { NodeKeyFinder } from '../../src/logs/node-key-finder.ts'
import { check } from './check.ts'
import {
  cut,
  cutText,
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

const KEY = /^oen1-[A-Za-z0-9_-]{1,120}$/
const key = fc.stringMatching(KEY)

/** A request whose body arrives in pieces. */
function request(pieces: readonly Bytes[]): Request {
  const body = new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece)
      controller.close()
    },
  })
  return new Request('http://localhost/', { method: 'POST', body, duplex: 'half' } as RequestInit)
}

function packed(text: string, isGzip: boolean): Bytes {
  return isGzip ? new Uint8Array(gzipSync(text)) : utf8(text)
}

describe('a small body', () => {
  it('is the object that JSON.parse makes of it, or a bad request', () =>
    check(
      fc.asyncProperty(
        fc.oneof(
          objectText.map(({ text }) => text),
          jsonText.map(({ text }) => text),
          damaged(objectText.map(({ text }) => text)),
        ),
        pieceSizes,
        fc.boolean(),
        async (text, sizes, isGzip) => {
          const body = await readSmallObject(request(cut(packed(text, isGzip), sizes)), new Deadline(5_000))
          const value = parsed(textOf(utf8(text)))?.value
          if (isObject(value)) expect(body).toEqual({ ok: true, value })
          else expect(body).toMatchObject({ ok: false, reason: { kind: 'bad-request' } })
        },
      ),
      250,
    ))

  it('over its limit is refused, as received or inflated, in any pieces', () =>
    check(
      fc.asyncProperty(
        fc.integer({ min: MAX_SMALL_BODY_BYTES - 2, max: MAX_SMALL_BODY_BYTES + 2 }),
        fc.integer({ min: 1_000, max: 100_000 }),
        fc.boolean(),
        async (length, size, isGzip) => {
          const text = `{"a":"${'x'.repeat(length - 8)}"}`
          const body = await readSmallObject(request(cut(packed(text, isGzip), [size])), new Deadline(5_000))
          expect(body.ok).toBe(length <= MAX_SMALL_BODY_BYTES)
        },
      ),
      40,
    ))

  it('has members that are texts or numbers as either', () =>
    check(
      fc.property(fc.dictionary(fc.constant('m'), fc.anything()), (object) => {
        const { m } = object as { m?: unknown }
        expect(textMember(object, 'm')).toBe(typeof m === 'string' || typeof m === 'number' ? String(m) : '')
        const number = integerMember(object, 'm')
        expect(number === null || Number.isSafeInteger(number)).toBe(true)
        if (Number.isSafeInteger(m)) expect(number).toBe(m)
      }),
      500,
    ))
})

describe('gzip', () => {
  it('comes back as it was, up to the limit', () =>
    check(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 2_000 }),
        fc.nat({ max: 2_000 }),
        async (bytes, maxBytes) => {
          const inflated = await gunzip(await gzip(bytes), maxBytes)
          if (bytes.length > maxBytes)
            expect(inflated).toEqual({ ok: false, reason: { kind: 'too-large', maxBytes } })
          else expect(inflated).toEqual({ ok: true, value: new Uint8Array(bytes) })
        },
      ),
      200,
    ))

  it('that is damaged or cut off is corrupt or what it was, and never throws', () =>
    check(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 300 }),
        fc.nat(),
        fc.nat({ max: 8 }),
        async (bytes, position, flip) => {
          const whole = new Uint8Array(gzipSync(bytes))
          const at = position % whole.length
          const broken =
            flip === 8 ? whole.slice(0, at) : whole.map((byte, i) => (i === at ? byte ^ (1 << flip) : byte))
          const inflated = await gunzip(broken, 100_000)
          if (inflated.ok) expect(inflated.value).toEqual(new Uint8Array(bytes))
          else expect(inflated.reason).toEqual({ kind: 'corrupt' })
        },
      ),
      300,
    ))
})

describe('a node key', () => {
  it('is found in the header under any case of its scheme, and under no other', () =>
    check(
      fc.property(
        key,
        fc.mixedCase(fc.constant('nodekey')),
        fc.constantFrom(' ', '  ', '\t '),
        (text, scheme, space) => {
          const found = (authorization: string) =>
            headerKeyOf(new Request('http://localhost/', { headers: { authorization } }))
          expect(found(scheme + space + text)).toBe(text)
          expect(found(scheme + space + text + space)).toBe(text)
          expect(found(`${scheme}${text}`)).toBeNull()
          expect(found(`Bearer ${text}`)).toBeNull()
          expect(found(`${scheme} ${text} ${text}`)).toBeNull()
        },
      ),
      200,
    ))

  it('and any header: a key without spaces, or none', () =>
    check(
      fc.property(
        fc.string({ unit: 'binary-ascii' }).map((text) => text.replaceAll(/[\0\r\n]/g, '')),
        (authorization) => {
          const found = headerKeyOf(new Request('http://localhost/', { headers: { authorization } }))
          expect(found === null || /^\S+$/.test(found)).toBe(true)
        },
      ),
      300,
    ))

  const members = fc.array(
    fc.tuple(
      fc.constantFrom('"node_key"', '"node\\u005fkey"', '"data"', '"x"'),
      fc.oneof(jsonText, key.map(keyText)),
    ),
    { maxLength: 4 },
  )

  it('is found in a log body where JSON.parse finds it, in any pieces, plain or gzip', () =>
    check(
      fc.asyncProperty(
        members,
        fc.constantFrom('', ' '),
        pieceSizes,
        fc.boolean(),
        async (given, space, sizes, isGzip) => {
          // Of two members of one name the first counts here; agents write it once.
          const first = given.filter(
            ([name], at) => at === given.findIndex(([other]) => JSON.parse(other) === JSON.parse(name)),
          )
          const { text } = objectOf(first, space)
          const finder = new NodeKeyFinder(1_000_000)
          for (const piece of cut(packed(text, isGzip), sizes)) await finder.push(piece)
          const { node_key: wanted } = JSON.parse(text) as Record<string, unknown>
          const isTold = typeof wanted === 'string' || typeof wanted === 'number'
          // Longer than any key of ours: as good as none.
          fc.pre(!isTold || text.length < 500)
          expect(await finder.end()).toEqual(
            isTold ? { kind: 'found', key: String(wanted) } : { kind: 'absent' },
          )
        },
      ),
      300,
    ))

  it('is found in a body that is no JSON, wherever it is cut off after the key', () =>
    check(
      fc.asyncProperty(objectText, key, pieceSizes, fc.string(), async (before, text, sizes, rest) => {
        const body = `${before.text}\u0001"node_key" : "${text}"${rest.replaceAll('"', '')}`
        expect(salvageNodeKey(utf8(body))).toBe(text)
        const finder = new NodeKeyFinder(1_000_000)
        for (const piece of cutText(body, sizes)) await finder.push(piece)
        const found = await finder.end()
        if (found.kind === 'unreadable') expect(found.salvaged).toBe(text)
        else expect(found.kind).toBe('found')
      }),
      300,
    ))
})

function keyText(text: string): JsonText {
  return { kind: 'string', text: quoted(text), items: [], members: [] }
}
