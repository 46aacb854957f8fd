/** GET …/queries/{id}/stream as NDJSON: what viewers see of a query, and when. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer, type TestServer } from '../support/harness.ts'
import { created, problemOf } from '../support/operator.ts'
import { openQuery, ordinalOf } from '../support/queries.ts'
import { rowsOf, viewStream } from '../support/query-stream.ts'

let server: TestServer
const keys = new Map<string, string>()
beforeAll(async () => {
  server = await startServer()
  for (const host of ['web-1', 'web-2', 'web-3']) keys.set(host, await server.enroll(host))
})
afterAll(() => server.close())

const PATH = '/environments/default/queries'

async function open(sql: string, hostnames: string[]): Promise<string> {
  return created(await server.operator('POST', PATH, { sql, targets: { hostnames } })).id
}

/** A host polls until it gets this SQL, and answers it. */
async function answer(
  host: string,
  sql: string,
  said: { rows?: unknown[]; status?: number; message?: string; stats?: object },
) {
  const nodeKey = keys.get(host)
  const id = await server.until(async () => {
    const reply = await server.agent('/api/osquery/distributed/read', { node_key: nodeKey })
    const { queries = {} } = reply.json<{ queries?: Record<string, string> }>()
    return Object.keys(queries).find((id) => queries[id] === sql)
  })
  const { rows = [], status = 0, message = '', stats = {} } = said
  const body = {
    queries: { [id]: rows },
    statuses: { [id]: status },
    messages: { [id]: message },
    stats: { [id]: stats },
  }
  await server.agent('/api/osquery/distributed/write', { ...body, node_key: nodeKey })
}

describe('the stream of a query', () => {
  it('says progress at once, rows as they come, and the end', async () => {
    const id = await open('SELECT 1', ['web-1', 'web-2'])
    const viewer = await viewStream(server, id)
    const first = await viewer.line(({ type }) => type === 'progress')
    expect(first.counts).toMatchObject({ targeted: 2, answered: 0, pending: 2 })
    await answer('web-1', 'SELECT 1', {
      rows: [{ a: '1' }, { a: '2' }],
      stats: { wall_time_ms: 5, user_time: 2, system_time: 1, memory: 4_096 },
    })
    const row = await viewer.line(({ columns }) => columns?.['a'] === '2')
    expect(row).toMatchObject({ type: 'row', hostname: 'web-1', row: 1 })
    await answer('web-2', 'SELECT 1', { rows: [{ a: '3' }] })
    await viewer.ended
    expect(rowsOf(viewer.lines)).toEqual(['web-1/1', 'web-1/2', 'web-2/3'])
    const end = viewer.lines.at(-1)
    expect(end).toMatchObject({
      type: 'end',
      status: 'complete',
      counts: { offered: 2, answered: 2, pending: 0 },
    })
    const shown = (await server.operator('GET', `${PATH}/${id}`)).json<{ counts: object }>()
    expect(end?.counts).toEqual(shown.counts)
    const { cost } = viewer.lines.findLast(({ type }) => type === 'progress') ?? {}
    expect(cost?.['wallMs']).toMatchObject({ p50: 5, p95: 5, worst: [{ value: 5 }] })
    expect(cost?.['memoryBytes']?.worst[0]?.value).toBe(4_096)
  })

  it('groups errors by message, and counts denylisted nodes', async () => {
    const sql = 'SELECT * FROM foo'
    const id = await open(sql, ['web-1', 'web-2', 'web-3'])
    await answer('web-1', sql, { status: 1, message: 'no such table: foo' })
    await answer('web-2', sql, { status: 1, message: 'no such table: foo' })
    await answer('web-3', sql, { status: 1, message: 'distributed query is denylisted' })
    const viewer = await viewStream(server, id)
    await viewer.ended
    const errors = viewer.lines.filter(({ type }) => type === 'error')
    expect(errors.map(({ message, nodes }) => [message, nodes])).toEqual([
      ['no such table: foo', 2],
      ['distributed query is denylisted', 1],
    ])
    expect(viewer.lines.at(-1)?.counts).toMatchObject({ answered: 3, failed: 3, denylisted: 1 })
  })

  it('gives a late viewer everything, and one that comes back what came after its cursor', async () => {
    const id = await open('SELECT 2', ['web-1', 'web-2'])
    await answer('web-1', 'SELECT 2', { rows: Array.from({ length: 1_200 }, (_, a) => ({ a: String(a) })) })
    const early = await viewStream(server, id)
    await server.until(async () => early.lines.filter(({ type }) => type === 'row').length === 1_200)
    await early.close()
    const inTheMiddle = early.lines.findIndex(({ type, cursor }) => type === 'row' && cursor !== undefined)
    const cursor = early.lines[inTheMiddle]?.cursor ?? ''
    await answer('web-2', 'SELECT 2', { rows: [{ a: 'last' }] })
    const late = await viewStream(server, id)
    const back = await viewStream(server, id, `?cursor=${cursor}`)
    await Promise.all([late.ended, back.ended])
    const before = early.lines.slice(0, inTheMiddle + 1)
    expect(rowsOf(late.lines)).toHaveLength(1_201)
    expect(rowsOf([...before, ...back.lines])).toEqual(rowsOf(late.lines))
  })

  it('ends when the query is stopped, expires', async () => {
    const stopped = await open('SELECT 3', ['web-1'])
    const viewer = await viewStream(server, stopped)
    await viewer.line(({ type }) => type === 'progress')
    await server.operator('POST', `${PATH}/${stopped}/stop`)
    await viewer.ended
    expect(viewer.lines.at(-1)).toMatchObject({ type: 'end', status: 'stopped' })

    // The shortest that the route takes is a minute.
    const short = await openQuery(server, 'SELECT 4', [await ordinalOf(server, 'web-1')], {
      expiresInMs: 1_000,
    })
    const expired = await viewStream(server, short.id)
    await expired.ended
    expect(expired.lines.at(-1)).toMatchObject({ type: 'end', status: 'expired', counts: { expired: 1 } })
  })

  it('accelerates the targets when it begins, and when its operator acts', async () => {
    const id = await open('SELECT 5', ['web-2'])
    const viewer = await viewStream(server, id)
    await answer('web-2', 'SELECT 5', {})
    const { accelerate } = (
      await server.agent('/api/osquery/distributed/read', { node_key: keys.get('web-2') })
    ).json<{ accelerate?: number }>()
    expect(accelerate).toBe(60)
    await viewer.close()
    const watched = await server.operator('POST', `${PATH}/${id}/watch`)
    expect(watched.status).toBe(200)
    const untilMs = Date.parse(watched.json<{ acceleratedUntil: string }>().acceleratedUntil)
    expect(untilMs - Date.now()).toBeGreaterThan(9 * 60_000)
  })
})

describe('a stream that is asked for wrongly', () => {
  it('is a problem: unknown query, foreign cursor, no token, credits that are no number', async () => {
    expect(problemOf(await server.operator('GET', `${PATH}/none/stream`)).status).toBe(404)
    const id = await open('SELECT 6', ['web-1'])
    for (const [query, pointer] of [
      ['cursor=x', 'cursor'],
      ['cursor=WzEsWzBdLFswXV0', 'cursor'],
      ['credits=many', 'credits'],
    ]) {
      const reply = problemOf(await server.operator('GET', `${PATH}/${id}/stream?${query}`))
      expect(reply).toEqual({ status: 422, pointers: [pointer] })
    }
    const anonymous = await server.harness.fetch(`/api/v1${PATH}/${id}/stream`)
    expect(anonymous.status).toBe(401)
  })
})
