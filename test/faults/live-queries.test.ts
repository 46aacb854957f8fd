/** Live queries with something away: agents never notice, viewers miss nothing. */

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startServer, type TestServer } from '../support/harness.ts'
import { created } from '../support/operator.ts'
import { openQuery, ordinalOf } from '../support/queries.ts'
import { rowsOf, viewStream } from '../support/query-stream.ts'

let server: TestServer
const keys: string[] = []
beforeAll(async () => {
  server = await startServer({ entry: 'test/faults/entry.ts' })
  for (const host of ['live-0', 'live-1', 'live-2']) keys.push(await server.enroll(host))
})
afterEach(() => faults({}))
afterAll(() => server.close())

/** Breaks bindings for everybody, objects included. */
async function faults(modes: Record<string, 'throw' | 'hang' | 'lost'>): Promise<void> {
  await server.harness.fetch('/test/faults', { method: 'POST', body: JSON.stringify(modes) })
}

async function open(sql: string): Promise<string> {
  const hostnames = ['live-0', 'live-1', 'live-2']
  return created(
    await server.operator('POST', '/environments/default/queries', { sql, targets: { hostnames } }),
  ).id
}

async function offered(node: number, sql: string): Promise<string> {
  return server.until(async () => {
    const reply = await server.agent('/api/osquery/distributed/read', { node_key: keys[node] })
    if (reply.status !== 200) return null
    const { queries = {} } = reply.json<{ queries?: Record<string, string> }>()
    return Object.keys(queries).find((id) => queries[id] === sql)
  })
}

function write(node: number, id: string) {
  const queries = { [id]: [{ a: String(node) }] }
  return server.agent('/api/osquery/distributed/write', { queries, node_key: keys[node] })
}

const ALL_ROWS = ['live-0/0', 'live-1/1', 'live-2/2']

it.each(['throw', 'hang'] as const)(
  'keeps answers while the Feed will %s; a late viewer sees them',
  async (mode) => {
    const sql = `SELECT 'feed ${mode}'`
    const id = await open(sql)
    const viewer = await viewStream(server, id)
    await viewer.line(({ type }) => type === 'progress')
    await faults({ FEED: mode })
    for (const node of [0, 1, 2]) expect((await write(node, await offered(node, sql))).text).toBe('{}')
    await viewer.close()
    await faults({})
    const late = await viewStream(server, id)
    await late.ended
    expect(rowsOf(late.lines)).toEqual(ALL_ROWS)
  },
)

it('keeps on with D1 away: agents answer, viewers see rows without host names', async () => {
  const sql = "SELECT 'no d1'"
  const viewer = await viewStream(server, await open(sql))
  await viewer.line(({ type }) => type === 'progress')
  await faults({ DB: 'throw' })
  const wireId = await offered(0, sql)
  expect((await write(0, wireId)).text).toBe('{}')
  const row = await viewer.line(({ type }) => type === 'row')
  expect(row).toMatchObject({ columns: { a: '0' } })
  await viewer.close()
})

it('shows everything once the shards are back', async () => {
  const sql = "SELECT 'no shards'"
  const id = await open(sql)
  for (const node of [0, 1, 2]) await write(node, await offered(node, sql))
  await faults({ ANSWER_SHARD: 'throw' })
  const viewer = await viewStream(server, id)
  await viewer.line(({ type }) => type === 'progress')
  expect(rowsOf(viewer.lines)).toEqual([])
  await faults({})
  const again = await viewStream(server, id)
  await again.ended
  expect(rowsOf(again.lines)).toEqual(ALL_ROWS)
  await server.until(async () => rowsOf(viewer.lines).length === 3)
  expect(rowsOf(viewer.lines)).toEqual(ALL_ROWS)
})

it('answers held reads when the environment goes away meanwhile', async () => {
  const sql = "SELECT 'held'"
  const viewer = await viewStream(server, await open(sql))
  await write(0, await offered(0, sql))
  const held = server.agent('/api/osquery/distributed/read', { node_key: keys[0] })
  await faults({ ENVIRONMENT: 'hang' })
  const reply = await held
  expect(reply.json()).toEqual({ queries: {}, accelerate: 60 })
  await viewer.close()
})

describe('with two of four shards down', () => {
  /** By shard: a host whose answers it has. */
  const hosts = new Map<number, { host: string; key: string; ordinal: number }>()
  beforeAll(async () => {
    for (let i = 0; hosts.size < 4; i += 1) {
      const host = `shard-host-${i}`
      const key = await server.enroll(host)
      const ordinal = await ordinalOf(server, host)
      hosts.set(ordinal % 4, { host, key, ordinal })
    }
  })

  function asked(shard: number) {
    const found = hosts.get(shard)
    if (found === undefined) throw new Error('there is a host for each shard')
    return found
  }

  async function wireIdFor(shard: number, sql: string): Promise<string | null> {
    const reply = await server.agent('/api/osquery/distributed/read', { node_key: asked(shard).key })
    if (reply.status !== 200) {
      expect(reply.text).toBe('retry')
      return null
    }
    const { queries = {} } = reply.json<{ queries?: Record<string, string> }>()
    return Object.keys(queries).find((id) => queries[id] === sql) ?? null
  }

  function answers(shard: number, id: string): Promise<{ text: string }> {
    const queries = { [id]: [{ a: String(shard) }] }
    return server.agent('/api/osquery/distributed/write', { queries, node_key: asked(shard).key })
  }

  const rowsOfShards = (...shards: number[]) => shards.map((shard) => `${asked(shard).host}/${shard}`).sort()

  it.each(['throw', 'hang'] as const)(
    'that %s: the answers of the others come, viewers hear which part is missing, and it heals',
    async (mode) => {
      const sql = `SELECT 'two down: ${mode}'`
      const ordinals = [0, 1, 2, 3].map((shard) => asked(shard).ordinal)
      const { id } = await openQuery(server, sql, ordinals, { shards: 4 })
      const early = await server.until(() => wireIdFor(1, sql))
      expect((await answers(1, early)).text).toBe('{}')
      await faults({ 'ANSWER_SHARD/1': mode, 'ANSWER_SHARD/2': mode })
      const viewer = await viewStream(server, id)
      for (const shard of [0, 3])
        expect((await answers(shard, await server.until(() => wireIdFor(shard, sql)))).text).toBe('{}')
      await server.until(async () => rowsOf(viewer.lines).length === 2)
      expect(rowsOf(viewer.lines)).toEqual(rowsOfShards(0, 3))
      const told = viewer.lines.findLast(({ type }) => type === 'progress')
      expect(told).toMatchObject({ status: 'open', missing: { shards: [1, 2], of: 4 } })
      // The agent of a shard that is away keeps what it has, and comes again.
      const reply = await answers(1, early)
      expect(reply.text).toBe('retry')
      await faults({})
      expect((await answers(2, await server.until(() => wireIdFor(2, sql)))).text).toBe('{}')
      await viewer.ended
      expect(rowsOf(viewer.lines)).toEqual(rowsOfShards(0, 1, 2, 3))
      const end = viewer.lines.findLast(({ type }) => type === 'progress')
      expect(end?.missing).toBeUndefined()
    },
  )
})

it('goes on and is closed after D1 was away in the middle', async () => {
  const sql = "SELECT 'd1 in the middle'"
  const id = await open(sql)
  expect((await write(0, await offered(0, sql))).text).toBe('{}')
  await faults({ DB: 'throw' })
  for (const node of [1, 2]) expect((await write(node, await offered(node, sql))).text).toBe('{}')
  await faults({})
  const viewer = await viewStream(server, id)
  await viewer.ended
  expect(rowsOf(viewer.lines)).toEqual(ALL_ROWS)
  const status = await server.until(async () => {
    const row = await server.env.DB.prepare('SELECT status FROM queries WHERE id = ?').bind(id).first()
    return row?.['status'] === 'open' ? null : row?.['status']
  })
  expect(status).toBe('complete')
})
