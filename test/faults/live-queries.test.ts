/** Live queries with something away: agents never notice, viewers miss nothing. */

import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { startServer, type TestServer } from '../support/harness.ts'
import { created } from '../support/operator.ts'
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
async function faults(modes: Record<string, 'throw' | 'hang'>): Promise<void> {
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
