import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer, type Reply, type TestServer } from '../support/harness.ts'
import { allPages, created, enrollHost, problemOf } from '../support/operator.ts'

let server: TestServer
const keys: Record<string, string> = {}
beforeAll(async () => {
  server = await startServer()
  keys['web-1'] = await enrollHost(server, 'web-1')
  keys['web-2'] = await enrollHost(server, 'web-2')
  keys['mac-1'] = await enrollHost(server, 'mac-1', { platform: 'darwin', platformType: '21' })
})
afterAll(() => server.close())

interface Query {
  id: string
  sql: string
  status: string
  targets: unknown
  createdAt: string
  expiresAt: string
  counts: { targeted: number; answered: number; failed: number; pending: number }
  revision: number
  live: boolean
}

function open(body: unknown, env = 'default'): Promise<Reply> {
  return server.operator('POST', `/environments/${env}/queries`, body)
}

async function opened(sql: string, targets: unknown): Promise<Query> {
  return created<Query>(await open({ sql, targets }))
}

describe('opening a query', () => {
  it('answers the whole object, open and live', async () => {
    const sql = ' SELECT * FROM uptime; '
    const query = await opened(sql, { hostnames: ['web-1'] })
    expect(query).toMatchObject({
      sql,
      targets: { hostnames: ['web-1'] },
      status: 'open',
      counts: {
        targeted: 1,
        offered: 0,
        answered: 0,
        failed: 0,
        denylisted: 0,
        notApplicable: 0,
        expired: 0,
        pending: 1,
      },
      live: true,
    })
    expect(Date.parse(query.expiresAt) - Date.parse(query.createdAt)).toBe(86_400_000)
    const { revision: _revision, live: _live, ...rest } = query
    expect((await server.operator('GET', `/environments/default/queries/${query.id}`)).json()).toEqual(rest)
  })

  it.each([
    [{ all: true }, 3],
    [{ platforms: ['ubuntu'] }, 2],
    [{ platforms: ['linux'] }, 2],
    [{ platforms: ['darwin', 'linux'] }, 3],
    [{ hostnames: ['web-1', 'mac-1', 'web-1'] }, 2],
  ])('resolves %j to %i nodes', async (targets, targeted) => {
    expect((await opened('SELECT 1', targets)).counts).toMatchObject({ targeted, pending: targeted })
  })

  it.each([
    [{}, ['/targets']],
    [undefined, ['/targets']],
    [null, ['/targets']],
    [[], ['/targets']],
    ['all', ['/targets']],
    [{ all: false }, ['/targets/all']],
    [{ all: 'true' }, ['/targets/all']],
    [{ everything: true }, ['/targets/everything']],
    [{ all: true, tags: ['x'] }, ['/targets']],
    [{ hostnames: ['web-1'], nodes: [] }, ['/targets']],
    [{ hostnames: ['web-1'], hostname: 'x' }, ['/targets/hostname']],
    [{ nodes: [] }, ['/targets/nodes']],
    [{ nodes: 'web-1' }, ['/targets/nodes']],
    [{ nodes: [1] }, ['/targets/nodes/0']],
    [{ nodes: ['web-1'] }, ['/targets/nodes/0']],
    [{ hostnames: ['web-1', 'web-9', 'WEB-1'] }, ['/targets/hostnames/1', '/targets/hostnames/2']],
    [{ tags: ['nobody-has-it'] }, ['/targets/tags/0']],
    [{ platforms: ['amiga'] }, ['/targets/platforms/0']],
    [{ platforms: ['windows'] }, ['/targets']],
    [{ hostnames: [''] }, ['/targets/hostnames/0']],
    [{ hostnames: ['%'] }, ['/targets/hostnames/0']],
  ])('refuses the targets %j', async (targets, pointers) => {
    expect(problemOf(await open({ sql: 'SELECT 1', targets }))).toEqual({ status: 422, pointers })
  })

  it.each([
    [{ sql: '' }, '/sql'],
    [{ sql: ' \n' }, '/sql'],
    [{ sql: 'SELECT \0' }, '/sql'],
    [{ sql: `SELECT '${'x'.repeat(65_536)}'` }, '/sql'],
    [{ sql: 5 }, '/sql'],
    [{ sql: undefined }, '/sql'],
    [{ expiresInSeconds: 0 }, '/expiresInSeconds'],
    [{ expiresInSeconds: 2_592_001 }, '/expiresInSeconds'],
    [{ expiresInSeconds: 60.5 }, '/expiresInSeconds'],
    [{ expiresInSeconds: '60' }, '/expiresInSeconds'],
    [{ expiresinseconds: 60 }, '/expiresinseconds'],
  ])('refuses %j', async (wrong, pointer) => {
    const reply = await open({ sql: 'SELECT 1', targets: { all: true }, ...wrong })
    expect(problemOf(reply)).toEqual({ status: 422, pointers: [pointer] })
  })

  it('finds no node in an empty environment', async () => {
    await server.operator('POST', '/environments', { name: 'empty' })
    const reply = await open({ sql: 'SELECT 1', targets: { all: true } }, 'empty')
    expect(problemOf(reply)).toEqual({ status: 422, pointers: ['/targets'] })
    const there = await open({ sql: 'SELECT 1', targets: { hostnames: ['web-1'] } }, 'empty')
    expect(problemOf(there)).toEqual({ status: 422, pointers: ['/targets/hostnames/0'] })
  })

  it('gives each query a number of its own, also when many are opened at once', async () => {
    const made = await Promise.all([1, 2, 3, 4, 5].map(() => opened('SELECT 1', { all: true })))
    expect(new Set(made.map(({ id }) => id)).size).toBe(5)
    const { results } = await server.env.DB.prepare('SELECT number FROM queries').all<{ number: number }>()
    expect(new Set(results.map(({ number }) => number)).size).toBe(results.length)
  })
})

describe('a query that nodes answer', () => {
  async function offered(host: string): Promise<Record<string, string>> {
    const reply = await server.agent('/api/osquery/distributed/read', { node_key: keys[host] })
    return reply.json<{ queries?: Record<string, string> }>().queries ?? {}
  }

  async function answer(host: string, sql: string, rows: unknown[], status = 0): Promise<void> {
    const wireId = await server.until(async () =>
      Object.entries(await offered(host)).find(([, text]) => text === sql),
    )
    const reply = await server.agent('/api/osquery/distributed/write', {
      node_key: keys[host],
      queries: { [wireId[0]]: rows },
      statuses: { [wireId[0]]: status },
      messages: { [wireId[0]]: status === 0 ? '' : 'no such table: x' },
    })
    expect(reply.text).toBe('{}')
  }

  it('counts, shows rows and answers page by page, and is complete', async () => {
    const sql = 'SELECT name, size FROM files_of_interest'
    const query = await opened(sql, { platforms: ['linux'] })
    const path = `/environments/default/queries/${query.id}`
    await answer('web-1', sql, [
      { name: 'a', size: '9007199254740993' },
      { name: 'b"\u00e4', size: '' },
    ])
    const half = (await server.operator('GET', path)).json<Query>()
    expect(half.status).toBe('open')
    expect(half.counts).toMatchObject({ targeted: 2, offered: 1, answered: 1, failed: 0, pending: 1 })
    await answer('web-2', sql, [], 1)
    const whole = (await server.operator('GET', path)).json<Query>()
    expect(whole.status).toBe('complete')
    expect(whole.counts).toMatchObject({ targeted: 2, answered: 2, failed: 1, pending: 0 })
    const results = await allPages(server, `${path}/results`, 1)
    expect(results).toEqual([
      {
        nodeId: expect.any(String) as string,
        hostname: 'web-1',
        receivedAt: expect.stringMatching(/Z$/) as string,
        columns: { name: 'a', size: '9007199254740993' },
      },
      expect.objectContaining({ hostname: 'web-1', columns: { name: 'b"\u00e4', size: '' } }),
    ])
    const answers = await allPages<{ hostname: string; status: string }>(server, `${path}/answers`, 1)
    expect(answers).toMatchObject([
      {
        hostname: 'web-2',
        status: 'failed',
        message: 'no such table: x',
        rowCount: 0,
        truncated: false,
        stats: {},
      },
      { hostname: 'web-1', status: 'ok', message: '', rowCount: 2, truncated: false, stats: {} },
    ])
  })

  it('is gone with all its answers once it is deleted', async () => {
    const sql = 'SELECT secret FROM elsewhere'
    const query = await opened(sql, { hostnames: ['mac-1'] })
    const path = `/environments/default/queries/${query.id}`
    await answer('mac-1', sql, [{ secret: 'x' }])
    const reply = await server.operator('DELETE', path)
    expect([reply.status, reply.text, reply.headers.get('x-live')]).toEqual([204, '', 'true'])
    for (const gone of [path, `${path}/results`, `${path}/answers`]) {
      expect(problemOf(await server.operator('GET', gone)).status).toBe(404)
    }
    expect(problemOf(await server.operator('POST', `${path}/stop`)).status).toBe(404)
    expect(problemOf(await server.operator('DELETE', path)).status).toBe(404)
    expect((await server.operator('GET', '/environments/default/queries')).text).not.toContain(query.id)
  })

  it('is not offered any more once it is stopped, and stopping again changes nothing', async () => {
    const sql = 'SELECT 1 AS stop_me'
    const query = await opened(sql, { hostnames: ['mac-1'] })
    await server.until(async () => Object.values(await offered('mac-1')).includes(sql))
    const path = `/environments/default/queries/${query.id}/stop`
    const stopped = created<Query>(await server.operator('POST', path), 200)
    expect(stopped).toMatchObject({ status: 'stopped', live: true })
    const again = created<Query>(await server.operator('POST', path), 200)
    expect(again).toMatchObject({ status: 'stopped', revision: stopped.revision })
    await server.until(async () => !Object.values(await offered('mac-1')).includes(sql))
  })
})

describe('lists of queries', () => {
  it('are newest first, page by page, and stay inside their environment', async () => {
    const first = await opened('SELECT 1 AS first', { all: true })
    const second = await opened('SELECT 2 AS second', { all: true })
    const ids = (await allPages<Query>(server, '/environments/default/queries', 4)).map(({ id }) => id)
    expect(ids.slice(0, 2)).toEqual([second.id, first.id])
    expect(new Set(ids).size).toBe(ids.length)
    await server.operator('POST', '/environments', { name: 'other' })
    expect(await allPages(server, '/environments/other/queries', 10)).toEqual([])
    for (const end of ['', '/results', '/answers']) {
      const reply = await server.operator('GET', `/environments/other/queries/${first.id}${end}`)
      expect(problemOf(reply).status).toBe(404)
    }
    expect(
      problemOf(await server.operator('POST', `/environments/other/queries/${first.id}/stop`)).status,
    ).toBe(404)
    expect(problemOf(await server.operator('DELETE', `/environments/other/queries/${first.id}`)).status).toBe(
      404,
    )
    expect((await server.operator('GET', `/environments/default/queries/${first.id}`)).status).toBe(200)
  })

  it.each(['results?cursor=x', 'answers?cursor=!', 'results?limit=0', 'answers?limit=x'])(
    'refuse the page %s',
    async (end) => {
      const [query] = await allPages<Query>(server, '/environments/default/queries', 1000)
      const reply = await server.operator('GET', `/environments/default/queries/${query?.id}/${end}`)
      expect(problemOf(reply)).toEqual({ status: 422, pointers: [end.split(/[?=]/)[1]] })
    },
  )
})
