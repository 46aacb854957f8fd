import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pageAnswers, pageResults, readCounts } from '../../src/queries/read.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { defaultEnvironmentId, openQuery, ordinalOf } from '../support/queries.ts'

interface ReadReply {
  queries?: Record<string, string>
  discovery?: Record<string, string>
}

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

async function read(nodeKey: string): Promise<ReadReply> {
  return (await server.agent('/api/osquery/distributed/read', { node_key: nodeKey })).json<ReadReply>()
}

/** Polls until a query is offered: the isolate's head may be some seconds old. */
async function offered(nodeKey: string, sql: string): Promise<string> {
  return server.until(async () => {
    const { queries = {} } = await read(nodeKey)
    return Object.keys(queries).find((id) => queries[id] === sql)
  })
}

function write(nodeKey: string, body: Record<string, unknown>) {
  return server.agent('/api/osquery/distributed/write', { ...body, node_key: nodeKey })
}

async function place(query: { number: number; shards: number }) {
  return [server.env, await defaultEnvironmentId(server), query] as const
}

describe('distributed read and write', () => {
  it('says nothing when nothing is pending', async () => {
    const nodeKey = await server.enroll('idle')
    const reply = await server.agent('/api/osquery/distributed/read', { node_key: nodeKey })
    expect([reply.status, reply.text]).toEqual([200, '{}'])
  })

  it('offers a query to its targets only, each id with a discovery entry, and keeps what they answer', async () => {
    const [asked, other] = [await server.enroll('asked'), await server.enroll('not-asked')]
    const sql = 'SELECT name, version FROM os_version'
    const query = await openQuery(server, sql, [await ordinalOf(server, 'asked')])
    const id = await offered(asked, sql)
    expect(id).toMatch(/^oeq1-[A-Za-z0-9_-]+$/)
    const again = await read(asked)
    expect(Object.keys(again.discovery ?? {}).sort()).toEqual([id, '_always'].sort())
    expect(await read(other)).toEqual({})

    const rows = '[{"name":"Ubuntu","big":"9223372036854775807","u":"\u00fcn\\u0131"},{"name":"second"}]'
    const body = `{"queries":{"${id}":${rows}},"statuses":{"${id}":0},"messages":{"${id}":""},"stats":{"${id}":{"wall_time_ms":3,"memory":4096}},"node_key":"${asked}"}`
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const reply = await server.agent('/api/osquery/distributed/write', body)
      expect([reply.status, reply.text]).toEqual([200, '{}'])
    }
    expect(await readCounts(...(await place(query)))).toMatchObject({ answered: 1, failed: 0 })
    const results = await pageResults(...(await place(query)), null, 10)
    expect(results.items.map(({ columns }) => columns)).toEqual([
      '{"name":"Ubuntu","big":"9223372036854775807","u":"\u00fcn\\u0131"}',
      '{"name":"second"}',
    ])
    expect((await read(asked)).queries).toBeUndefined()
  })

  it('completes the query in D1 once nobody remains', async () => {
    const nodeKey = await server.enroll('finisher')
    const query = await openQuery(server, 'SELECT 1 AS done', [await ordinalOf(server, 'finisher')])
    const id = await offered(nodeKey, 'SELECT 1 AS done')
    await write(nodeKey, { queries: { [id]: [{ done: '1' }] }, statuses: { [id]: 0 } })
    const status = await server.until(async () => {
      const row = await server.env.DB.prepare('SELECT status FROM queries WHERE id = ?')
        .bind(query.id)
        .first()
      return row?.['status'] === 'open' ? null : row?.['status']
    })
    expect(status).toBe('complete')
  })

  it.each([
    [
      'an SQL error',
      { rows: [], status: 1, message: 'no such table: foo' },
      { status: 'failed', rowCount: 0 },
    ],
    [
      'a denylisted query',
      { rows: [], status: 1, message: 'distributed query is denylisted' },
      { status: 'failed' },
    ],
    [
      'the oldest shape: "" for no rows, statuses as digits',
      { rows: '', status: '0' },
      { status: 'ok', rowCount: 0 },
    ],
    ['no statuses at all', { rows: [{ a: '1' }] }, { status: 'ok', rowCount: 1, message: '' }],
    ['a status alone', { status: 123, message: 'x' }, { status: 'failed', rowCount: 0, message: 'x' }],
  ] as [string, { rows?: unknown; status?: unknown; message?: string }, object][])(
    'understands %s',
    async (name, given, expected) => {
      const nodeKey = await server.enroll(name)
      const sql = `SELECT '${name}'`
      const query = await openQuery(server, sql, [await ordinalOf(server, name)])
      const id = await offered(nodeKey, sql)
      const reply = await write(nodeKey, {
        queries: given.rows === undefined ? {} : { [id]: given.rows },
        ...(given.status === undefined ? {} : { statuses: { [id]: given.status } }),
        ...(given.message === undefined ? {} : { messages: { [id]: given.message } }),
      })
      expect(reply.text).toBe('{}')
      const { items } = await pageAnswers(...(await place(query)), null, 10)
      expect(items).toHaveLength(1)
      expect(items[0]).toMatchObject(expected)
    },
  )

  it('accepts ids that are unknown, foreign, of another node or for other environments, and keeps none', async () => {
    const [mine, theirs] = [await server.enroll('mine'), await server.enroll('theirs')]
    const query = await openQuery(server, 'SELECT 7', [await ordinalOf(server, 'theirs')])
    const id = await offered(theirs, 'SELECT 7')
    const reply = await write(mine, {
      queries: { [id]: [{ a: '1' }], 'q-8f2': [{ a: '1' }], 'osquery:x': '' },
    })
    expect([reply.status, reply.text]).toEqual([200, '{}'])
    expect(await readCounts(...(await place(query)))).toMatchObject({ answered: 0, failed: 0 })
  })

  it('accepts forged ids, and keeps none: each bit of an id is under its MAC', async () => {
    const forger = await server.enroll('forger')
    const query = await openQuery(server, 'SELECT forged', [await ordinalOf(server, 'forger')])
    const id = await offered(forger, 'SELECT forged')
    const other = (character: string) => (character === 'A' ? 'B' : 'A')
    // Environment, number, shards, ordinal, MAC: a character of each.
    const forged = [10, 28, 32, 36, id.length - 2].map(
      (at) => id.slice(0, at) + other(id.charAt(at)) + id.slice(at + 1),
    )
    for (const name of forged) {
      const reply = await write(forger, { queries: { [name]: [{ a: '1' }] }, statuses: { [name]: 0 } })
      expect([reply.status, reply.text]).toEqual([200, '{}'])
    }
    expect(await readCounts(...(await place(query)))).toMatchObject({ offered: 1, answered: 0 })
  })

  it('keeps the first of duplicate answers, also where a later one says something else', async () => {
    const nodeKey = await server.enroll('twice')
    const query = await openQuery(server, 'SELECT twice', [await ordinalOf(server, 'twice')])
    const id = await offered(nodeKey, 'SELECT twice')
    const saying = (a: string) => write(nodeKey, { queries: { [id]: [{ a }] }, statuses: { [id]: 0 } })
    for (const reply of await Promise.all([saying('1'), saying('1')])) expect(reply.text).toBe('{}')
    expect((await saying('2')).text).toBe('{}')
    const { items } = await pageResults(...(await place(query)), null, 10)
    expect(items.map(({ columns }) => columns)).toEqual(['{"a":"1"}'])
  })

  it('stopped while offered: nobody is offered it any more, and a late answer is kept', async () => {
    const nodeKey = await server.enroll('stopped')
    const body = { sql: 'SELECT stopped', targets: { hostnames: ['stopped'] } }
    const opened = await server.operator('POST', '/environments/default/queries', body)
    const path = `/environments/default/queries/${opened.json<{ id: string }>().id}`
    const id = await offered(nodeKey, 'SELECT stopped')
    await server.operator('POST', `${path}/stop`)
    await server.until(async () => (await read(nodeKey)).queries === undefined)
    expect((await write(nodeKey, { queries: { [id]: [{ a: '1' }] }, statuses: { [id]: 0 } })).text).toBe('{}')
    const query = (await server.operator('GET', path)).json<{ status: string; counts: object }>()
    expect(query).toMatchObject({ status: 'stopped', counts: { answered: 1, pending: 0 } })
    const results = (await server.operator('GET', `${path}/results`)).json<{ items: { columns: object }[] }>()
    expect(results.items.map(({ columns }) => columns)).toEqual([{ a: '1' }])
  })

  it('accepts answers to ids of the key before: the node is the same', async () => {
    const details = { system_info: { hostname: 'renewed', uuid: crypto.randomUUID() } }
    const before = await server.enroll('renewed', details)
    const query = await openQuery(server, 'SELECT 8', [await ordinalOf(server, 'renewed')])
    const id = await offered(before, 'SELECT 8')
    const after = await server.enroll('renewed', details)
    expect((await write(after, { queries: { [id]: [{ a: '1' }] } })).text).toBe('{}')
    expect((await readCounts(...(await place(query)))).answered).toBe(1)
  })

  it('cuts an answer over its limit, with a visible flag', async () => {
    const nodeKey = await server.enroll('big')
    const query = await openQuery(server, 'SELECT big', [await ordinalOf(server, 'big')])
    const id = await offered(nodeKey, 'SELECT big')
    const rows = Array.from({ length: 6_000 }, (_, i) => ({ i: String(i), text: 'x'.repeat(1_000) }))
    const reply = await write(nodeKey, { queries: { [id]: rows }, statuses: { [id]: 0 } })
    expect([reply.status, reply.text]).toEqual([200, '{}'])
    const { items } = await pageAnswers(...(await place(query)), null, 10)
    expect(items[0]).toMatchObject({ status: 'ok', truncated: true })
    expect(items[0]?.rowCount).toBeGreaterThan(3_500)
    expect(items[0]?.rowCount).toBeLessThan(6_000)
  })

  it('pages through rows without losing or doubling any', async () => {
    const hosts = ['page-a', 'page-b', 'page-c', 'page-d', 'page-e']
    const keys = new Map<string, string>()
    for (const host of hosts) keys.set(host, await server.enroll(host))
    const ordinals = await Promise.all(hosts.map((host) => ordinalOf(server, host)))
    const query = await openQuery(server, 'SELECT page', ordinals)
    for (const [host, nodeKey] of keys) {
      const id = await offered(nodeKey, 'SELECT page')
      await write(nodeKey, {
        queries: { [id]: [0, 1, 2].map((i) => ({ at: `${host}/${i}` })) },
        statuses: { [id]: 0 },
      })
    }
    const seen: string[] = []
    let cursor: string | null = null
    do {
      const page: Awaited<ReturnType<typeof pageResults>> = await pageResults(
        ...(await place(query)),
        cursor,
        4,
      )
      seen.push(...page.items.map(({ columns }) => columns))
      cursor = page.nextCursor
    } while (cursor !== null)
    expect(new Set(seen).size).toBe(15)
    expect(seen).toHaveLength(15)
  })
})
