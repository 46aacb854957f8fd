/**
 * The agent routes of the whole Worker under requests that nobody would write: whatever comes, the reply is one that
 * osqueryd takes rightly (design R1, R2), and what a node sends to log and write never comes back for ever (R5).
 */

import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { utf8 } from '../../src/lib/bytes.ts'
import { ENROLL_SECRET, startServer, type Reply, type TestServer } from '../support/harness.ts'
import { untilInboxEmpty } from '../logs/support.ts'
import { checkServer } from './check.ts'
import { damaged, jsonText, objectOf, objectText, quoted, stringText } from './json-text.ts'
import type { JsonText } from './json-text.ts'

let server: TestServer
let nodeKey: string
beforeAll(async () => {
  server = await startServer()
  nodeKey = await server.enroll('fuzzed')
})
afterAll(() => server.close())

const ROUTES = [
  'enroll',
  'config',
  'log',
  'distributed/read',
  'distributed/write',
  'carve/begin',
  'carve/block',
]

/** Values that come near to what is expected. */
const value: fc.Arbitrary<JsonText> = fc.oneof(
  jsonText,
  fc
    .constantFrom(
      '"result"',
      '"status"',
      '0',
      '"1"',
      '-1',
      '1e3',
      '4096',
      '"KEY"',
      '"SECRET"',
      '{}',
      '[]',
      '""',
      'null',
    )
    .map((text) => ({ kind: 'literal' as const, text, items: [], members: [] })),
)
const NAMES = [
  'node_key',
  'enroll_secret',
  'host_identifier',
  'host_details',
  'platform_type',
  'data',
  'log_type',
  'queries',
  'statuses',
  'messages',
  'stats',
  'block_count',
  'block_size',
  'carve_size',
  'carve_id',
  'request_id',
  'session_id',
  'block_id',
  '__proto__',
]
const members = fc.array(fc.tuple(fc.constantFrom(...NAMES).map(quoted), value), { maxLength: 7 })
const bodyText = fc.oneof(
  members.map((all) => objectOf(all).text),
  damaged(members.map((all) => objectOf(all).text)),
  jsonText.map(({ text }) => text),
)

interface Sent {
  bytes: Uint8Array
  headers: Record<string, string>
}

/** What a header may hold. */
const text = fc.string({ unit: 'grapheme-ascii' })
const headers = fc.record(
  {
    authorization: fc.oneof(
      text,
      text.map((key) => `NodeKey ${key}`),
      fc.constant('NodeKey KEY'),
    ),
    'content-type': text,
    'content-encoding': fc.constantFrom('gzip', 'identity', 'br', 'x'),
    'user-agent': text,
    accept: text,
  },
  { requiredKeys: [] },
)

/** A body as text, gzip, broken gzip or bytes, with headers that may contradict it. */
const sent: fc.Arbitrary<Sent> = fc
  .tuple(
    bodyText,
    fc.constantFrom('plain', 'gzip', 'cut', 'flipped', 'followed', 'noise'),
    fc.nat(),
    fc.uint8Array({ maxLength: 20 }),
    headers,
  )
  .map(([body, form, position, noise, given]) => ({
    bytes: formed(utf8(filledIn(body)), form, position, noise),
    headers: Object.fromEntries(Object.entries(given).map(([name, said]) => [name, filledIn(said)])),
  }))

function filledIn(said: string): string {
  return said.replaceAll('KEY', nodeKey).replaceAll('SECRET', ENROLL_SECRET)
}

function formed(bytes: Uint8Array, form: string, position: number, noise: Uint8Array): Uint8Array {
  const packed = new Uint8Array(gzipSync(bytes))
  const at = position % packed.length
  switch (form) {
    case 'plain':
      return bytes
    case 'gzip':
      return packed
    case 'cut':
      return packed.slice(0, at)
    case 'flipped':
      return packed.map((byte, index) => (index === at ? byte ^ (1 << (position & 7)) : byte))
    case 'followed':
      return new Uint8Array([...packed, ...noise])
    default:
      return noise
  }
}

/** What is meant is status 200 and a JSON object; everything else is `retry` under an error status. */
function expectRightReply(reply: Reply): void {
  if (reply.text === 'retry') return expect(reply.status).toBeGreaterThanOrEqual(400)
  expect([reply.status, reply.text.slice(0, 1)]).toEqual([200, '{'])
  expect(reply.json()).toBeTypeOf('object')
}

describe('an agent route', () => {
  it('answers whatever comes with a JSON object or with retry, and lives on', () =>
    checkServer(
      fc.asyncProperty(fc.constantFrom(...ROUTES), sent, async (route, { bytes, headers: given }) => {
        expectRightReply(await server.agent(`/api/osquery/${route}`, bytes, given))
      }),
      250,
    ))

  it('takes whatever a known node logs or writes: a refused batch would come back for ever', () =>
    checkServer(
      fc.asyncProperty(fc.constantFrom('log', 'distributed/write'), sent, async (route, { bytes }) => {
        const reply = await server.agent(`/api/osquery/${route}`, bytes, {
          authorization: `NodeKey ${nodeKey}`,
        })
        expect([reply.status, reply.text]).toEqual([200, '{}'])
      }),
      150,
    ))

  it('never says node_invalid to the owner of a key, whatever else it sends', () =>
    checkServer(
      fc.asyncProperty(
        fc.constantFrom('config', 'distributed/read', 'log', 'distributed/write'),
        fc.array(fc.tuple(stringText, value), { maxLength: 4 }),
        async (route, more) => {
          const others = more.filter(([name]) => JSON.parse(name) !== 'node_key')
          const reply = await server.agent(
            `/api/osquery/${route}`,
            objectOf([['"node_key"', stringOf(nodeKey)], ...others]).text,
          )
          expect([reply.status, reply.json()['node_invalid']]).toEqual([200, undefined])
        },
      ),
      100,
    ))

  it('enrolls a host that knows the secret and has a name, whatever else it says of itself', () =>
    checkServer(
      fc.asyncProperty(
        fc.dictionary(fc.constantFrom('os_version', 'osquery_info', 'system_info', 'more', ''), table),
        fc.array(fc.tuple(fc.constantFrom('"platform_type"', '"x"'), jsonText), {
          maxLength: 3,
        }),
        fc.string({ unit: 'binary', minLength: 1 }).map((name) => `h${name}`),
        async (tables, more, name) => {
          const details = objectOf(Object.entries(tables).map(([name, said]) => [quoted(name), said]))
          const body = objectOf([
            ...more,
            ['"enroll_secret"', stringOf(ENROLL_SECRET)],
            ['"host_identifier"', stringOf(name)],
            ['"host_details"', details],
          ])
          const reply = await server.agent('/api/osquery/enroll', body.text)
          expect([reply.status, reply.text]).toEqual([200, expect.stringMatching(/^\{"node_key":"oen1-/)])
        },
      ),
      80,
    ))

  it('has let nothing in that stays in the way: all that was taken is worked off', () =>
    untilInboxEmpty(server))
})

const columns = ['uuid', 'hostname', 'hardware_serial', 'instance_id', 'platform', 'version', 'computer_name']
/** A table of enroll: columns that decide who the host is, of any text, or anything else. */
const table = fc.oneof(
  objectText,
  fc
    .array(fc.tuple(fc.constantFrom(...columns), fc.oneof(stringText.map(asText), jsonText)), {
      maxLength: 4,
    })
    .map((said) => objectOf(said.map(([name, value]) => [quoted(name), value]))),
)

function stringOf(said: string): JsonText {
  return asText(quoted(said))
}

function asText(written: string): JsonText {
  return { kind: 'string', text: written, items: [], members: [] }
}
