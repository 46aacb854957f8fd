/** Many open queries on one node: one call for each read and each write, replies of a bounded size, the rest next time. */

import { afterAll, beforeAll, expect, it } from 'vitest'
import { readManyCounts } from '../../src/queries/read.ts'
import { MAX_OFFERED_SQL_BYTES } from '../../src/queries/constants.ts'
import { startServer, type Reply, type TestServer } from '../support/harness.ts'
import { defaultEnvironmentId, openQuery, ordinalOf, type OpenedQuery } from '../support/queries.ts'

const QUERIES = 25

let server: TestServer
beforeAll(async () => {
  server = await startServer({ entry: 'test/faults/entry.ts' })
})
afterAll(() => server.close())

function callsOf(reply: Reply): Record<string, number> {
  const calls = JSON.parse(reply.headers.get('x-test-calls') ?? '{}') as Record<string, number>
  return Object.fromEntries(Object.entries(calls).filter(([call]) => call.startsWith('ANSWER_SHARD')))
}

function queriesIn(reply: Reply): Record<string, string> {
  return reply.json<{ queries?: Record<string, string> }>().queries ?? {}
}

interface Asked {
  nodeKey: string
  queries: OpenedQuery[]
}

/** A new node with 25 open queries. */
async function askedNode(
  host: string,
  sqlOf: (index: number) => string,
  shardsOf: (index: number) => number = () => 4,
): Promise<Asked> {
  const nodeKey = await server.enroll(host)
  const ordinal = await ordinalOf(server, host)
  const queries: OpenedQuery[] = []
  for (let i = 0; i < QUERIES; i += 1)
    queries.push(await openQuery(server, sqlOf(i), [ordinal], { shards: shardsOf(i) }))
  return { nodeKey, queries }
}

function read(nodeKey: string, faults = ''): Promise<Reply> {
  return server.agent('/api/osquery/distributed/read', { node_key: nodeKey }, { 'x-test-faults': faults })
}

function write(nodeKey: string, ids: readonly string[]): Promise<Reply> {
  const queries = Object.fromEntries(ids.map((id) => [id, [{ a: '1' }]]))
  return server.agent('/api/osquery/distributed/write', { queries, node_key: nodeKey })
}

/** Reads until one reply has at least so many queries: the isolate's head may be some seconds old. */
function readAtLeast(nodeKey: string, count: number): Promise<Reply> {
  return server.until(async () => {
    const reply = await read(nodeKey)
    return Object.keys(queriesIn(reply)).length >= count ? reply : null
  })
}

async function answeredOf({ queries }: Asked): Promise<number[]> {
  const counts = await readManyCounts(server.env, await defaultEnvironmentId(server), queries)
  return counts.map(({ answered }) => answered)
}

it('25 queries: one call for the read, one for the write', async () => {
  const asked = await askedNode('many', (i) => `SELECT ${i}`)
  const reply = await readAtLeast(asked.nodeKey, QUERIES)
  expect(callsOf(reply)).toEqual({ 'ANSWER_SHARD.read': 1 })
  const written = await write(asked.nodeKey, Object.keys(queriesIn(reply)))
  expect([written.text, callsOf(written)]).toEqual(['{}', { 'ANSWER_SHARD.write': 1 }])
  expect(await answeredOf(asked)).toEqual(Array.from({ length: QUERIES }, () => 1))
})

it('25 queries that were opened before and after the number of shards was changed: one call for each number', async () => {
  const asked = await askedNode(
    'resharded',
    (i) => `SELECT ${i} AS resharded`,
    (i) => (i % 2 === 0 ? 4 : 8),
  )
  const reply = await readAtLeast(asked.nodeKey, QUERIES)
  expect(callsOf(reply)).toEqual({ 'ANSWER_SHARD.read': 2 })
  const written = await write(asked.nodeKey, Object.keys(queriesIn(reply)))
  expect([written.text, callsOf(written)]).toEqual(['{}', { 'ANSWER_SHARD.write': 2 }])
  expect(await answeredOf(asked)).toEqual(Array.from({ length: QUERIES }, () => 1))
})

it.each([
  ['of one number of shards', 'plain', 4, 'x'],
  ['of two numbers of shards', 'two', 8, 'x'],
  ['of texts that JSON makes longer', 'escaped', 4, '\\'],
])(
  'SQL %s that is more than fits into a reply: the rest comes with the next ones, each query once answered',
  async (_name, host, otherShards, filler) => {
    // 25 times 61,000 bytes are one and a half replies.
    const asked = await askedNode(
      `long-${host}`,
      (i) => `SELECT '${filler.repeat(60_900)}' AS ${host}${i}`,
      (i) => (i % 2 === 0 ? 4 : otherShards),
    )
    await server.until(async () => Object.keys(queriesIn(await read(asked.nodeKey))).length > 0)
    const seen = new Map<string, string>()
    await server.until(async () => {
      const reply = await read(asked.nodeKey)
      // Beside the SQL a reply has ids and discovery queries.
      expect(reply.text.length).toBeLessThan(MAX_OFFERED_SQL_BYTES + 20_000)
      for (const [id, sql] of Object.entries(queriesIn(reply))) seen.set(id, sql)
      return seen.size === QUERIES
    }, 30_000)
    expect(new Set(seen.values()).size).toBe(QUERIES)
    expect((await write(asked.nodeKey, [...seen.keys()])).text).toBe('{}')
    expect(await answeredOf(asked)).toEqual(Array.from({ length: QUERIES }, () => 1))
  },
)

it('says retry where no shard answers, and offers everything once they do', async () => {
  const asked = await askedNode('unlucky', (i) => `SELECT ${i} AS unlucky`)
  await readAtLeast(asked.nodeKey, QUERIES)
  const reply = await read(asked.nodeKey, 'ANSWER_SHARD=throw')
  expect([reply.status, reply.text]).toEqual([503, 'retry'])
  await readAtLeast(asked.nodeKey, QUERIES)
})
