/** A query to all nodes that asks those which enroll later: an open range of ordinals, at no cost for the others. */

import { afterAll, beforeAll, expect, it } from 'vitest'
import { askLateEnrollments } from '../../src/queries/late-enrollments.ts'
import { startServer, type Reply, type TestServer } from '../support/harness.ts'
import { created } from '../support/operator.ts'
import { ordinalOf } from '../support/queries.ts'
import { viewStream } from '../support/query-stream.ts'
import { shardRows } from '../support/results.ts'

const QUERIES = '/environments/default/queries'

let server: TestServer
const keys = new Map<string, string>()
beforeAll(async () => {
  server = await startServer({ entry: 'test/faults/entry.ts' })
  for (const host of ['early-1', 'early-2']) keys.set(host, await server.enroll(host))
})
afterAll(() => server.close())

function read(host: string): Promise<Reply> {
  return server.agent('/api/osquery/distributed/read', { node_key: keys.get(host) })
}

function idOf(reply: Reply, sql: string): string | undefined {
  const { queries = {} } = reply.json<{ queries?: Record<string, string> }>()
  return Object.keys(queries).find((id) => queries[id] === sql)
}

function shardCalls(reply: Reply): number {
  const calls = JSON.parse(reply.headers.get('x-test-calls') ?? '{}') as Record<string, number>
  return calls['ANSWER_SHARD.read'] ?? 0
}

async function answer(host: string, id: string): Promise<void> {
  const body = { queries: { [id]: [{ host }] }, statuses: { [id]: 0 }, node_key: keys.get(host) }
  expect((await server.agent('/api/osquery/distributed/write', body)).text).toBe('{}')
}

async function opened(sql: string): Promise<{ id: string; number: number; shards: number }> {
  const body = { sql, targets: { all: true }, includeLateEnrollments: true }
  const { id } = created(await server.operator('POST', QUERIES, body))
  const row = await server.env.DB.prepare('SELECT number, shards FROM queries WHERE id = ?')
    .bind(id)
    .first<{ number: number; shards: number }>()
  if (row === null) throw new Error('the query is there')
  for (const host of ['early-1', 'early-2'])
    await answer(host, await server.until(async () => idOf(await read(host), sql)))
  return { id, ...row }
}

async function countsOf(id: string): Promise<Record<string, number>> {
  return created<{ counts: Record<string, number> }>(await server.operator('GET', `${QUERIES}/${id}`), 200)
    .counts
}

it('asks a node at its first read, counts it, and does not count it twice once D1 knows', async () => {
  const sql = "SELECT 'first read'"
  const { id, number, shards } = await opened(sql)
  expect(await countsOf(id)).toMatchObject({ targeted: 2, answered: 2, pending: 0 })
  const viewer = await viewStream(server, id)
  await viewer.line(({ type }) => type === 'progress')
  keys.set('late', await server.enroll('late'))
  const wireId = idOf(await read('late'), sql)
  expect(wireId).toMatch(/^oeq1-/)
  expect(await countsOf(id)).toMatchObject({ targeted: 3, offered: 3, answered: 2, pending: 1 })
  await viewer.line(({ counts }) => counts?.['targeted'] === 3 && counts['pending'] === 1)
  await answer('late', wireId ?? '')
  await viewer.line(({ counts }) => counts?.['targeted'] === 3 && counts['answered'] === 3)
  expect(idOf(await read('late'), sql)).toBeUndefined()

  await askLateEnrollments(server.env, Date.now())
  const row = await server.env.DB.prepare('SELECT targeted FROM queries WHERE id = ?').bind(id).first()
  expect(row).toEqual({ targeted: 3 })
  expect(await countsOf(id)).toMatchObject({ targeted: 3, answered: 3, pending: 0 })
  // The edge is told that nobody waits for it.
  const shard = (await ordinalOf(server, 'late')) % shards
  const changed = 'SELECT changed, late_from AS lateFrom FROM queries WHERE number = ?'
  expect(await shardRows(server, { shards }, shard, changed, number)).toEqual([
    { changed: 1, lateFrom: await ordinalOf(server, 'late') },
  ])
  await viewer.close()
  await server.operator('POST', `${QUERIES}/${id}/stop`)
})

it('costs the others nothing', async () => {
  const { id } = await opened("SELECT 'at no cost'")
  // Until the edge heard that they have answered.
  await server.until(async () => shardCalls(await read('early-1')) === 0)
  await server.enroll('another')
  for (const host of ['early-1', 'early-1', 'early-1']) expect(shardCalls(await read(host))).toBe(0)
  await server.operator('POST', `${QUERIES}/${id}/stop`)
})

it('waits for one that was offered it and has not answered, also after D1 knows', async () => {
  const sql = "SELECT 'slow'"
  const { id } = await opened(sql)
  const before = await countsOf(id)
  keys.set('slow', await server.enroll('slow'))
  const wireId = idOf(await read('slow'), sql)
  await askLateEnrollments(server.env, Date.now())
  expect(await countsOf(id)).toMatchObject({
    targeted: Number(before['targeted']) + 1,
    offered: Number(before['offered']) + 1,
    pending: Number(before['pending']) + 1,
  })
  await answer('slow', wireId ?? '')
  expect(await countsOf(id)).toMatchObject({ answered: 3, pending: before['pending'] })
})
