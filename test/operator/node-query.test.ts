/** POST …/nodes/{id}/query: one node, now. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer, type TestServer } from '../support/harness.ts'
import { enrollHost, makeEnvironment, problemOf } from '../support/operator.ts'

let server: TestServer
let nodeKey: string
let nodeId: string
beforeAll(async () => {
  server = await startServer()
  nodeKey = await server.enroll('web-1')
  const nodes = (await server.operator('GET', '/environments/default/nodes')).json<{
    items: { id: string }[]
  }>()
  nodeId = nodes.items[0]?.id ?? ''
})
afterAll(() => server.close())

interface Reply {
  query: { id: string; status: string; counts: object }
  answer: { status: string; message: string; rows: object[]; stats: object } | null
}

function ask(body: object) {
  return server.operator('POST', `/environments/default/nodes/${nodeId}/query`, body)
}

async function answer(
  sql: string,
  said: { rows?: unknown[]; status?: number; message?: string },
): Promise<void> {
  const id = await server.until(async () => {
    const reply = await server.agent('/api/osquery/distributed/read', { node_key: nodeKey })
    const { queries = {} } = reply.json<{ queries?: Record<string, string> }>()
    return Object.keys(queries).find((id) => queries[id] === sql)
  })
  const { rows = [], status = 0, message = '' } = said
  const body = {
    queries: { [id]: rows },
    statuses: { [id]: status },
    messages: { [id]: message },
    stats: { [id]: { memory: 7 } },
  }
  await server.agent('/api/osquery/distributed/write', { ...body, node_key: nodeKey })
}

describe('a query of one node', () => {
  it('waits for the answer and brings it', async () => {
    const asked = ask({ sql: 'SELECT 1 AS a' })
    await answer('SELECT 1 AS a', { rows: [{ a: '1' }] })
    const reply = await asked
    expect(reply.status).toBe(200)
    const { query, answer: said } = reply.json<Reply>()
    expect(query).toMatchObject({ status: 'complete', counts: { targeted: 1, answered: 1 } })
    expect(said).toMatchObject({
      status: 'ok',
      rows: [{ a: '1' }],
      rowCount: 1,
      stats: { memory: 7 },
      nextCursor: null,
    })
  })

  it('brings an error as an answer', async () => {
    const asked = ask({ sql: 'SELECT * FROM foo' })
    await answer('SELECT * FROM foo', { status: 1, message: 'no such table: foo' })
    expect((await asked).json<Reply>().answer).toMatchObject({
      status: 'failed',
      message: 'no such table: foo',
      rows: [],
    })
  })

  it('says 202 when its time is over, and stays open for a node that comes later', async () => {
    const reply = await ask({ sql: 'SELECT 2 AS a', waitSeconds: 0 })
    expect(reply.status).toBe(202)
    const { query, answer: said } = reply.json<Reply>()
    expect([query.status, said]).toEqual(['open', null])
    await answer('SELECT 2 AS a', { rows: [{ a: '2' }] })
    const results = await server.operator('GET', `/environments/default/queries/${query.id}/results`)
    expect(results.json<{ items: { columns: object }[] }>().items.map(({ columns }) => columns)).toEqual([
      { a: '2' },
    ])
  })

  it.each([
    ['blank SQL', { sql: ' ' }, ['/sql']],
    ['a wait that is too long', { sql: 'SELECT 1', waitSeconds: 121 }, ['/waitSeconds']],
    ['an unknown member', { sql: 'SELECT 1', wait: 1 }, ['/wait']],
  ])('refuses %s', async (_name, body, pointers) => {
    expect(problemOf(await ask(body))).toEqual({ status: 422, pointers })
  })

  it('asks nobody who waits for approval or is blocked: what they are asked once they are in, operators say then', async () => {
    const { secret } = await makeEnvironment(server, 'strangers')
    await server.operator('PATCH', '/environments/strangers/admission', { approval: true })
    // Isolates learn of it later: it is a stranger's from then on.
    const id = await server.until(async () => {
      await enrollHost(server, 'stranger', { secret, uuid: crypto.randomUUID() })
      const reply = await server.operator('GET', '/environments/strangers/nodes?state=pending')
      return reply.json<{ items: { id: string }[] }>().items[0]?.id
    })
    const node = `/environments/strangers/nodes/${id}`
    const pending = await server.operator('POST', `${node}/query`, { sql: 'SELECT 1' })
    expect(problemOf(pending).status).toBe(409)
    await server.operator('POST', `${node}/block`, { reason: 'unknown' })
    const blocked = await server.operator('POST', `${node}/query`, { sql: 'SELECT 1' })
    expect(problemOf(blocked).status).toBe(409)
    const queries = await server.operator('GET', '/environments/strangers/queries')
    expect(queries.json()).toMatchObject({ items: [] })
  })

  it('does not know nodes of elsewhere', async () => {
    const reply = await server.operator('POST', '/environments/default/nodes/none/query', { sql: 'SELECT 1' })
    expect(problemOf(reply).status).toBe(404)
  })
})
