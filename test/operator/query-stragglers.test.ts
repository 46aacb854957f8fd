/** GET …/queries/{id}/stragglers and POST …/rerun. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer, type TestServer } from '../support/harness.ts'
import { allPages, created, problemOf } from '../support/operator.ts'

let server: TestServer
const keys = new Map<string, string>()
const HOSTS = ['fine', 'failing', 'denylisted', 'huge', 'silent', 'asleep']
beforeAll(async () => {
  server = await startServer()
  for (const host of HOSTS) keys.set(host, await server.enroll(host))
})
afterAll(() => server.close())

const PATH = '/environments/default/queries'

interface Straggler {
  hostname: string
  reason: string
  offers: number
  lastOfferedAt: string | null
  lastSeenAt: string
  message: string
}

interface Query {
  id: string
  sql: string
  targets: object
  counts: { targeted: number }
}

async function offeredTo(host: string, sql: string): Promise<string> {
  return server.until(async () => {
    const reply = await server.agent('/api/osquery/distributed/read', { node_key: keys.get(host) })
    const { queries = {} } = reply.json<{ queries?: Record<string, string> }>()
    return Object.keys(queries).find((id) => queries[id] === sql)
  })
}

async function answer(host: string, sql: string, rows: unknown[], status = 0, message = ''): Promise<void> {
  const id = await offeredTo(host, sql)
  const body = { queries: { [id]: rows }, statuses: { [id]: status }, messages: { [id]: message } }
  await server.agent('/api/osquery/distributed/write', { ...body, node_key: keys.get(host) })
}

describe('who has not answered, and why', () => {
  let query: Query
  beforeAll(async () => {
    const sql = 'SELECT * FROM t'
    query = created<Query>(await server.operator('POST', PATH, { sql, targets: { all: true } }))
    await answer('fine', sql, [{ a: '1' }])
    await answer('failing', sql, [], 1, 'no such table: t')
    await answer('denylisted', sql, [], 1, 'distributed query is denylisted')
    await answer(
      'huge',
      sql,
      Array.from({ length: 6_000 }, () => ({ text: 'x'.repeat(1_000) })),
    )
    await offeredTo('silent', sql)
  })

  it('is listed for everybody who did not answer well', async () => {
    const items = await allPages<Straggler>(server, `${PATH}/${query.id}/stragglers`, 2)
    const told = Object.fromEntries(items.map(({ hostname, reason }) => [hostname, reason]))
    expect(told).toEqual({
      failing: 'failed',
      denylisted: 'denylisted',
      huge: 'truncated',
      silent: 'offered',
      asleep: 'waiting',
    })
    for (const { hostname, offers, lastOfferedAt, lastSeenAt } of items) {
      const isOffered = hostname !== 'asleep'
      expect([hostname, offers, lastOfferedAt !== null]).toEqual([hostname, isOffered ? 1 : 0, isOffered])
      expect(lastSeenAt >= (lastOfferedAt ?? '')).toBe(true)
    }
    expect(items.find(({ hostname }) => hostname === 'failing')?.message).toBe('no such table: t')
  })

  it('can be asked for by reason', async () => {
    const items = await allPages<Straggler>(
      server,
      `${PATH}/${query.id}/stragglers?reason=failed,truncated`,
      10,
    )
    expect(items.map(({ hostname }) => hostname)).toEqual(['failing', 'huge'])
    const reply = await server.operator('GET', `${PATH}/${query.id}/stragglers?reason=lazy`)
    expect(problemOf(reply).status).toBe(422)
  })

  it('the unanswered ones are asked again', async () => {
    const reply = await server.operator('POST', `${PATH}/${query.id}/rerun`, { only: 'unanswered' })
    const again = created<Query>(reply)
    expect(again.sql).toBe('SELECT * FROM t')
    expect(again.counts.targeted).toBe(2)
    expect(again.targets).toEqual({ rerun: { query: query.id, only: 'unanswered' } })
    expect(await offeredTo('asleep', 'SELECT * FROM t')).toMatch(/^oeq1-/)
  })

  it('the failed ones are asked again with another text: the denylist knows the old one', async () => {
    const again = created<Query>(
      await server.operator('POST', `${PATH}/${query.id}/rerun`, { only: 'failed' }),
    )
    expect(again.sql.startsWith('SELECT * FROM t\n-- again: ')).toBe(true)
    expect(again.counts.targeted).toBe(2)
    expect(await offeredTo('denylisted', again.sql)).toMatch(/^oeq1-/)
    const nobody = await server.operator('POST', `${PATH}/${again.id}/rerun`, { only: 'failed' })
    expect(problemOf(nobody)).toEqual({ status: 409, pointers: ['/only'] })
  })

  it('a deleted node is told as such, and not asked again', async () => {
    const nodes = (await server.operator('GET', '/environments/default/nodes?q=asleep')).json<{
      items: { id: string }[]
    }>()
    await server.operator('DELETE', `/environments/default/nodes/${nodes.items[0]?.id}`)
    const items = await allPages<Straggler>(server, `${PATH}/${query.id}/stragglers?reason=deleted`, 10)
    expect(items.map(({ hostname }) => hostname)).toEqual(['asleep'])
    const again = created<Query>(
      await server.operator('POST', `${PATH}/${query.id}/rerun`, { only: 'unanswered' }),
    )
    expect(again.counts.targeted).toBe(1)
  })
})
