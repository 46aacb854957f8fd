/** Lists of the admin route: all pages together are the whole list, each item once; no cursor is more than refused. */

import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { base64UrlOf, utf8 } from '../../src/lib/bytes.ts'
import { gzip } from '../../src/lib/compression.ts'
import { cursorOf } from '../../src/operator/paging.ts'
import { answerShardStub } from '../../src/queries/shard-name.ts'
import { shardOf } from '../../src/snapshot/remaining.ts'
import { writeObjects, type LogItem, type Written } from '../logs/support.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { allPages, created, enrollHost, makeEnvironment, problemOf } from '../support/operator.ts'
import { defaultEnvironmentId } from '../support/queries.ts'
import { checkServer } from './check.ts'

const NODES = 9
const NODE = '0b000000-0000-4000-8000-000000000001'
const START_MS = Date.UTC(2026, 5, 1, 12)

let server: TestServer
/** Paths of lists, with something in most of them. */
let lists: string[]
beforeAll(async () => {
  server = await startServer()
  const place = '/environments/default'
  await Promise.all(Array.from({ length: NODES }, (_, i) => fill(place, i)))
  const query = { sql: 'SELECT 1', targets: { all: true }, expiresInSeconds: 600 }
  const { id } = created(await server.operator('POST', `${place}/queries`, query))
  await Promise.all([
    answer(id),
    ...[1, 2, 3, 4].map(async () => created(await server.operator('POST', `${place}/queries`, query))),
    server.operator('POST', `${place}/carves`, { path: '/etc/hosts', targets: { all: true } }),
  ])
  lists = [
    '/environments',
    '/operator-tokens',
    '/audit',
    ...['enroll-secrets', 'nodes', 'queries', 'carves', 'quarantine', 'logs'].map(
      (name) => `${place}/${name}`,
    ),
    ...['answers', 'results'].map((name) => `${place}/queries/${id}/${name}`),
  ]
})
afterAll(() => server.close())

/** One item more for most lists. */
async function fill(place: string, i: number): Promise<void> {
  const nodeKey = await enrollHost(server, `listed-${i}`)
  // Poison: the quarantine is a list too.
  await server.agent('/api/osquery/distributed/write', '{', { authorization: `NodeKey ${nodeKey}` })
  created(await server.operator('POST', '/operator-tokens', { name: `token-${i}` }))
  created(await server.operator('POST', `${place}/enroll-secrets`, { name: `secret-${i}` }))
  created(await server.operator('POST', '/environments', { name: `environment-${i}` }))
}

/** Every node answers, with none to three rows. */
async function answer(queryId: string): Promise<void> {
  const { DB } = server.env
  const query = await DB.prepare('SELECT number, shards FROM queries WHERE id = ?')
    .bind(queryId)
    .first<{ number: number; shards: number }>()
  if (query === null) throw new Error('the query is there')
  const environmentId = await defaultEnvironmentId(server)
  const { results } = await DB.prepare('SELECT id AS nodeId, ordinal FROM nodes').all<{
    nodeId: string
    ordinal: number
  }>()
  for (const node of results) {
    const rowCount = node.ordinal % 4
    const rows = Array.from({ length: rowCount }, (_, row) => ({ at: `${node.ordinal}/${row}` }))
    const given = {
      number: query.number,
      status: 0,
      message: '',
      stats: '{}',
      rowCount,
      truncated: false,
      carves: [],
    }
    const shard = shardOf(node.ordinal, query.shards)
    await answerShardStub(server.env, environmentId, query.shards, shard).write(node, [
      { ...given, rows: rowCount === 0 ? null : await gzip(utf8(JSON.stringify(rows))) },
    ])
  }
}

const list = fc.nat().map((at) => lists[at % lists.length] ?? '/audit')

it('all pages of a list are the list, whatever their size', () =>
  checkServer(
    fc.asyncProperty(list, fc.integer({ min: 1, max: 12 }), async (path, limit) => {
      expect(await namesIn(path, limit)).toEqual(await namesIn(path, 1_000))
    }),
    30,
  ))

/** What tells the items of a list apart: the rest of a node changes when it is seen. */
async function namesIn(path: string, limit: number): Promise<string[]> {
  const items = await allPages<{ id?: string }>(server, path, limit)
  expect(items.length).toBeGreaterThanOrEqual(path.endsWith('/logs') ? 0 : 1)
  return items.map((item) => item.id ?? JSON.stringify(item))
}

const part = fc.oneof(
  fc.integer(),
  fc.maxSafeInteger(),
  fc.string({ unit: 'binary' }),
  fc.constantFrom('', '\u0000', "'", '%', NODE, Number.MAX_SAFE_INTEGER, -1, 0, 1e300, 0.5),
)
const cursor = fc.oneof(
  fc.array(part, { minLength: 1, maxLength: 4 }).map((key) => cursorOf(key)),
  // The shape of the answer shards' own.
  fc.tuple(fc.nat(), fc.nat(), fc.nat()).map((numbers) => base64UrlOf(utf8(numbers.join('.')))),
  fc.string({ unit: 'binary' }).map((text) => base64UrlOf(utf8(text))),
  fc.string(),
)

it('a cursor that nobody gave is refused, or the list goes on from there', () =>
  checkServer(
    fc.asyncProperty(list, cursor, async (path, text) => {
      const reply = await server.operator('GET', `${path}?limit=3&cursor=${encodeURIComponent(text)}`)
      if (reply.status === 200) expect(reply.json<{ items: unknown[] }>().items).toBeInstanceOf(Array)
      else expect(problemOf(reply)).toEqual({ status: 422, pointers: ['cursor'] })
    }),
    120,
  ))

// Few ids and times, so that lines come again, sooner and later, and many at one time.
const line = fc.record({
  // Hashes differ from their first bytes on.
  eventId: fc.nat({ max: 11 }).map((id) => id.toString(16).repeat(32)),
  at: fc.nat({ max: 6 }),
  index: fc.nat({ max: 2 }),
})
const objects = fc.array(fc.array(line, { minLength: 1, maxLength: 8 }), {
  minLength: 1,
  maxLength: 8,
  size: 'max',
})
/** Times lie so far apart: together less than the time in which a line may come again (70 minutes). */
const step = fc.constantFrom(1, 1_000, 600_000)

let archives = 0
it('all pages of the archive have each line once, at its newest place, newest first', () =>
  checkServer(
    fc.asyncProperty(objects, step, fc.integer({ min: 1, max: 5 }), async (given, stepMs, limit) => {
      archives += 1
      const { id } = await makeEnvironment(server, `archive-${archives}`)
      const written = given.map((lines) =>
        lines.map(({ at, ...rest }): Written => ({
          ...rest,
          atMs: START_MS + at * stepMs,
          nodeId: NODE,
          type: 'result',
          name: 'n',
        })),
      )
      await writeObjects(server.env, id, written)
      const items = await allPages<LogItem>(server, `/environments/${id}/logs`, limit)
      expect(items.map(({ eventId }) => eventId)).toEqual(newestOnce(written.flat()))
    }),
    20,
  ))

/** Each id once, in the order of the newest places, last of a POST first. */
function newestOnce(lines: readonly Written[]): string[] {
  const sorted = lines.toSorted(
    (a, b) => b.atMs - a.atMs || b.index - a.index || (a.eventId < b.eventId ? 1 : -1),
  )
  return [...new Set(sorted.map(({ eventId }) => eventId))]
}
