/** Nodes whose discovery query said no: settled without an answer (spec 5.1, 5.2). */

import { afterAll, beforeAll, expect, it } from 'vitest'
import { readCounts } from '../../src/queries/read.ts'
import { answerShardStub } from '../../src/queries/shard-name.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { defaultEnvironmentId, openQuery, ordinalOf, type OpenedQuery } from '../support/queries.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

async function offered(nodeKey: string, sql: string): Promise<string> {
  return server.until(async () => {
    const reply = await server.agent('/api/osquery/distributed/read', { node_key: nodeKey })
    const { queries = {} } = reply.json<{ queries?: Record<string, string> }>()
    return Object.keys(queries).find((id) => queries[id] === sql)
  })
}

function write(nodeKey: string, queries: Record<string, unknown>) {
  return server.agent('/api/osquery/distributed/write', { queries, node_key: nodeKey })
}

async function countsOf(query: OpenedQuery) {
  return readCounts(server.env, await defaultEnvironmentId(server), query)
}

async function standingOf(query: OpenedQuery, host: string) {
  const ordinal = await ordinalOf(server, host)
  const environmentId = await defaultEnvironmentId(server)
  const shard = answerShardStub(server.env, environmentId, query.shards, ordinal % query.shards)
  return (await shard.standings(query.number, [ordinal]))[0]
}

it('are counted apart, are not asked again, and complete the query', async () => {
  const [linux, windows] = [await server.enroll('linux'), await server.enroll('windows')]
  const ordinals = [await ordinalOf(server, 'linux'), await ordinalOf(server, 'windows')]
  const query = await openQuery(server, 'SELECT 1', ordinals)
  const id = await offered(windows, 'SELECT 1')
  for (let attempt = 0; attempt < 2; attempt += 1) {
    expect((await write(windows, { [`${id}~no`]: [{ 1: '1' }] })).text).toBe('{}')
  }
  expect(await countsOf(query)).toMatchObject({ offered: 1, answered: 0, notApplicable: 1 })
  expect(await standingOf(query, 'windows')).toMatchObject({ offers: 1, notApplicable: true })
  expect((await server.agent('/api/osquery/distributed/read', { node_key: windows })).text).toBe('{}')
  await write(linux, { [await offered(linux, 'SELECT 1')]: [{ a: '1' }] })
  const row = await server.until(async () => {
    const statement = server.env.DB.prepare('SELECT status FROM queries WHERE id = ?').bind(query.id)
    const found = await statement.first<{ status: string }>()
    return found?.status === 'open' ? null : found
  })
  expect(row.status).toBe('complete')
})

it.each(['before', 'together with', 'after'])(
  'count as answered when the answer comes %s it',
  async (when) => {
    const host = `both-${when}`
    const nodeKey = await server.enroll(host)
    const sql = `SELECT '${when}'`
    const query = await openQuery(server, sql, [await ordinalOf(server, host)])
    const id = await offered(nodeKey, sql)
    const [yes, no] = [{ [id]: [{ a: '1' }] }, { [`${id}~no`]: [{ 1: '1' }] }]
    if (when === 'together with') await write(nodeKey, { ...no, ...yes })
    else for (const said of when === 'before' ? [yes, no] : [no, yes]) await write(nodeKey, said)
    expect(await countsOf(query)).toMatchObject({ answered: 1, notApplicable: 0 })
    expect(await standingOf(query, host)).toMatchObject({
      offers: 1,
      lastOfferedAtMs: expect.any(Number) as number,
    })
  },
)
