import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { askLateEnrollments } from '../../src/queries/late-enrollments.ts'
import { startServer, type Reply, type TestServer } from '../support/harness.ts'
import { allPages, created, enrollHost, problemOf } from '../support/operator.ts'

let server: TestServer
const keys: Record<string, string> = {}
const QUERIES = '/environments/default/queries'

beforeAll(async () => {
  server = await startServer()
  for (const host of ['web-1', 'web-2']) keys[host] = await enrollHost(server, host)
})
afterAll(() => server.close())

interface Query {
  id: string
  status: string
  label: string | null
  counts: { targeted: number; answered: number; pending: number }
}

function open(body: Record<string, unknown>): Promise<Reply> {
  return server.operator('POST', QUERIES, { sql: 'SELECT 1', targets: { all: true }, ...body })
}

async function queryOf(id: string): Promise<Query> {
  return (await server.operator('GET', `${QUERIES}/${id}`)).json<Query>()
}

/** The wire ids of a text that a host is offered now. */
async function offered(host: string, sql: string): Promise<string[]> {
  const reply = await server.agent('/api/osquery/distributed/read', { node_key: keys[host] })
  const { queries = {} } = reply.json<{ queries?: Record<string, string> }>()
  return Object.keys(queries).filter((id) => queries[id] === sql)
}

async function answer(host: string, sql: string, rows: unknown[]): Promise<void> {
  const id = await server.until(async () => (await offered(host, sql))[0])
  const body = { node_key: keys[host], queries: { [id]: rows }, statuses: { [id]: 0 } }
  expect((await server.agent('/api/osquery/distributed/write', body)).text).toBe('{}')
}

describe('a label', () => {
  it('is shown, and a hidden query is left out of lists that do not ask for it', async () => {
    const { id, label } = created<Query>(await open({ label: 'who runs nginx', hidden: true }))
    expect(label).toBe('who runs nginx')
    const ids = async (query: string) =>
      (await allPages<Query>(server, `${QUERIES}${query}`, 100)).map((each) => each.id)
    expect(await ids('')).not.toContain(id)
    expect(await ids('?hidden=true')).toContain(id)
  })
})

describe('maxNodes', () => {
  it('opens nothing where the targets mean more', async () => {
    const before = (await allPages(server, `${QUERIES}?hidden=true`, 100)).length
    expect(problemOf(await open({ maxNodes: 1 }))).toEqual({ status: 422, pointers: ['/targets'] })
    expect(await allPages(server, `${QUERIES}?hidden=true`, 100)).toHaveLength(before)
    created(await open({ maxNodes: 2 }))
  })
})

describe('maxRowsPerNode', () => {
  it('keeps the first rows, and says that there were more', async () => {
    const sql = 'SELECT * FROM many'
    const { id } = created(await open({ sql, maxRowsPerNode: 2 }))
    await answer('web-1', sql, [{ n: '1' }, { n: '2' }, { n: '3' }])
    await answer('web-2', sql, [{ n: '1' }, { n: '2' }])
    const answers = await allPages<{ hostname: string }>(server, `${QUERIES}/${id}/answers`, 10)
    expect(answers).toMatchObject([
      { hostname: 'web-2', rowCount: 2, truncated: false },
      { hostname: 'web-1', rowCount: 2, truncated: true },
    ])
    const results = await allPages<{ hostname: string; columns: { n: string } }>(
      server,
      `${QUERIES}/${id}/results`,
      10,
    )
    expect(results.filter(({ hostname }) => hostname === 'web-1').map(({ columns }) => columns.n)).toEqual([
      '1',
      '2',
    ])
  })
})

describe('includeLateEnrollments', () => {
  it('asks nodes that enroll while it is open, and only those that the targets mean', async () => {
    const sql = 'SELECT * FROM late'
    const targets = { platforms: ['linux'] }
    const { id } = created(await open({ sql, targets, includeLateEnrollments: true }))
    const { id: closed } = created(await open({ sql: 'SELECT * FROM early', targets }))
    await answer('web-1', sql, [])
    await answer('web-2', sql, [])
    // Nobody remains, and that is not the end: a query of before which all have answered is over by then.
    await answer('web-1', 'SELECT * FROM early', [])
    await answer('web-2', 'SELECT * FROM early', [])
    await server.until(async () => (await queryOf(closed)).status === 'complete')
    expect((await queryOf(id)).status).toBe('open')
    keys['web-3'] = await enrollHost(server, 'web-3')
    keys['mac-1'] = await enrollHost(server, 'mac-1', { platform: 'darwin', platformType: '21' })
    await askLateEnrollments(server.env, Date.now())
    await answer('web-3', sql, [{ n: '3' }])
    expect(await offered('mac-1', sql)).toEqual([])
    expect(await offered('web-3', 'SELECT * FROM early')).toEqual([])
    expect((await queryOf(id)).counts).toMatchObject({ targeted: 3, answered: 3, pending: 0 })
    expect((await queryOf(closed)).counts.targeted).toBe(2)
  })

  it('does so again for the next ones, and once for each node', async () => {
    const sql = 'SELECT * FROM later'
    const { id } = created(await open({ sql, includeLateEnrollments: true }))
    for (const host of ['late-1', 'late-2']) {
      keys[host] = await enrollHost(server, host)
      await askLateEnrollments(server.env, Date.now())
      await askLateEnrollments(server.env, Date.now())
      await answer(host, sql, [])
    }
    const { counts } = await queryOf(id)
    expect(counts.answered).toBe(2)
    await server.operator('POST', `${QUERIES}/${id}/stop`)
    expect((await queryOf(id)).status).toBe('stopped')
  })
})

describe('bad options', () => {
  it.each([
    [{ label: ' ' }, '/label'],
    [{ hidden: 1 }, '/hidden'],
    [{ maxNodes: 0 }, '/maxNodes'],
    [{ maxRowsPerNode: 1.5 }, '/maxRowsPerNode'],
    [{ includeLateEnrollments: 'yes' }, '/includeLateEnrollments'],
    [{ expiresInSeconds: 59 }, '/expiresInSeconds'],
  ])('%j are refused', async (body, pointer) => {
    expect(problemOf(await open(body))).toEqual({ status: 422, pointers: [pointer] })
  })
})
