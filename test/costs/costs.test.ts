import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { costsOfMembers } from '../../src/costs/read.ts'
import { versionOf } from '../../src/costs/version.ts'
import { NodeSet } from '../../src/fleet/node-set.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { created, enrollHost, makeEnvironment, problemOf } from '../support/operator.ts'
import { idsOf } from '../logs/support.ts'
import { costLine, sendLines } from './support.ts'

interface Version {
  version: string
  executions: number
  nodes: number
  perExecution: Record<string, { p50: number; p95: number; max: number }> | null
  perNodeAndDay: Record<string, number> | null
  rating: string
  overBudget: string[]
  worstNodes?: { nodeId: string; hostname: string; cpuMs: number }[]
}

interface QueryCost {
  query: string
  nodes: number
  denylistedNodes: number
  errors: number
  prevailing: Version | null
  paused: { by: string; reason: string } | null
}

let server: TestServer
const nowS = Math.floor(Date.now() / 1_000)
const HOUR_S = 3_600

beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

async function send(nodeKey: string, lines: readonly string[], type = 'result'): Promise<void> {
  return sendLines(server, nodeKey, lines, type)
}

const costsOf = async (env: string): Promise<QueryCost[]> =>
  created<{ items: QueryCost[] }>(await server.operator('GET', `/environments/${env}/costs`), 200).items

/** What is said of a query, once it holds. */
const costOnce = (env: string, query: string, holds: (cost: QueryCost) => boolean): Promise<QueryCost> =>
  server.until(async () => (await costsOf(env)).find((cost) => cost.query === query && holds(cost)))

describe('GET …/costs', () => {
  it('tells what a query costs: per execution, per node and day, and on which scale', async () => {
    const { secret } = await makeEnvironment(server, 'figures')
    const keys = [await enrollHost(server, 'f-1', { secret }), await enrollHost(server, 'f-2', { secret })]
    for (const [index, key] of keys.entries()) {
      const cpuMs = index === 0 ? 100 : 5_000
      await send(key, [costLine(nowS - 2 * HOUR_S, [{ name: 'q', executions: 6, cpuMs }])])
      await send(key, [costLine(nowS - HOUR_S, [{ name: 'q', executions: 12, cpuMs }])])
    }
    const cost = await costOnce('figures', 'q', ({ prevailing }) => prevailing?.executions === 24)
    expect(cost).toMatchObject({ nodes: 2, denylistedNodes: 0, errors: 0, paused: null })
    expect(cost.prevailing).toMatchObject({
      version: await versionOf('SELECT 1', 600),
      perExecution: { cpuMs: { max: 5_000 }, wallMs: { max: 10_000 }, memoryBytes: { max: 4_096 } },
      // Six in an hour, both of them: 144 a day.
      perNodeAndDay: { executions: 144, userMs: 144 * 2_550, outputBytes: 144_000 },
      rating: 'minimal',
    })
    const detail = await server.operator('GET', '/environments/figures/costs/q')
    const [version] = created<{ versions: Version[] }>(detail, 200).versions
    expect(version?.worstNodes).toMatchObject([
      { hostname: 'f-2', cpuMs: 5_000 },
      { hostname: 'f-1', cpuMs: 100 },
    ])
    const nodeId = version?.worstNodes?.[0]?.nodeId ?? ''
    expect(
      (await server.operator('GET', `/environments/figures/nodes/${nodeId}/costs`)).json(),
    ).toMatchObject({
      cpuMsPerHour: 30_000,
      queries: [{ query: 'q', executions: 12, userMs: 60_000, denylistedSince: null, rating: 'excessive' }],
    })
  })

  it('knows nothing of a node that has not reported', async () => {
    await enrollHost(server, 'silent')
    const nodes = await server.operator('GET', '/environments/default/nodes')
    const [node] = created<{ items: { id: string }[] }>(nodes, 200).items
    const reply = await server.operator('GET', `/environments/default/nodes/${node?.id ?? ''}/costs`)
    expect(reply.json()).toEqual({ reportedAt: null, cpuMsPerHour: null, queries: [] })
  })

  it('counts a line once, however often it comes', async () => {
    const { secret } = await makeEnvironment(server, 'again')
    const key = await enrollHost(server, 'a-1', { secret })
    const first = costLine(nowS - 3 * HOUR_S, [{ name: 'q', executions: 6 }])
    const second = costLine(nowS - 2 * HOUR_S, [{ name: 'q', executions: 12 }])
    await send(key, [first, second, first])
    await send(key, [second])
    await send(key, [first])
    await send(key, [costLine(nowS - HOUR_S, [{ name: 'q', executions: 18 }])])
    const cost = await costOnce('again', 'q', ({ prevailing }) => (prevailing?.executions ?? 0) >= 18)
    expect(cost.prevailing?.executions).toBe(18)
  })

  it('begins anew with a query whose SQL changed', async () => {
    const { secret } = await makeEnvironment(server, 'changed')
    const key = await enrollHost(server, 'c-1', { secret })
    await send(key, [costLine(nowS - 2 * HOUR_S, [{ name: 'q', executions: 6, sql: 'SELECT 1' }])])
    await send(key, [costLine(nowS - HOUR_S, [{ name: 'q', executions: 2, sql: 'SELECT 2', cpuMs: 9_000 }])])
    const sql = await versionOf('SELECT 2', 600)
    const cost = await costOnce('changed', 'q', ({ prevailing }) => prevailing?.version === sql)
    expect(cost).toMatchObject({ nodes: 1, prevailing: { executions: 2, rating: 'excessive' } })
    const detail = await server.operator('GET', '/environments/changed/costs/q')
    expect(created<{ versions: Version[] }>(detail, 200).versions).toMatchObject([
      { version: sql, nodes: 1, executions: 2 },
      { nodes: 0, executions: 6 },
    ])
  })

  it('counts errors of a scheduled query by its name, which may hold what ends it', async () => {
    const { secret } = await makeEnvironment(server, 'errors')
    const key = await enrollHost(server, 'e-1', { secret })
    const document = { schedule: { 'odd: name': { query: 'SELECT nothing', interval: 60 } } }
    created(await server.operator('PUT', '/environments/errors/configuration', document), 200)
    const line = (unixTime: number) =>
      JSON.stringify({
        severity: 2,
        filename: 'scheduler.cpp',
        line: 1,
        message: 'Error executing scheduled query odd: name: no such column: nothing',
        unixTime,
        version: '5.23.1',
      })
    const killed = JSON.stringify({
      severity: '1',
      filename: 'config.cpp',
      message: 'Scheduled query may have failed: odd: name',
      unixTime: nowS - 20,
    })
    await send(key, [line(nowS - 60), line(nowS - 60), line(nowS - 30), killed, killed], 'status')
    const cost = await costOnce('errors', 'odd: name', () => true)
    expect(cost).toMatchObject({ errors: 2, denylistedNodes: 1, prevailing: null })
    const detail = await server.operator('GET', '/environments/errors/costs/odd%3A%20name')
    expect(detail.json()).toMatchObject({ versions: [], denylistedOn: [{ hostname: 'e-1', version: null }] })
  })

  it('is of one environment, in pages by name', async () => {
    const { secret } = await makeEnvironment(server, 'pages')
    const key = await enrollHost(server, 'p-1', { secret })
    const rows = ['osquery-edge/cost', 'c', 'a', 'b'].map((name) => ({ name, executions: 1 }))
    await send(key, [costLine(nowS - HOUR_S, rows)])
    await costOnce('pages', 'osquery-edge/cost', () => true)
    const names: string[] = []
    let cursor = ''
    do {
      const reply = await server.operator('GET', `/environments/pages/costs?limit=3${cursor}`)
      const page = created<{ items: QueryCost[]; nextCursor: string | null }>(reply, 200)
      names.push(...page.items.map(({ query }) => query))
      cursor = page.nextCursor === null ? '' : `&cursor=${page.nextCursor}`
    } while (cursor !== '')
    expect(names).toEqual(['a', 'b', 'c', 'osquery-edge/cost'])
    const own = await server.operator('GET', '/environments/pages/costs/osquery-edge%2Fcost')
    expect(own.json()).toMatchObject({ query: 'osquery-edge/cost', nodes: 1 })
    const elsewhere = await server.operator('GET', '/environments/default/costs/a')
    expect(problemOf(elsewhere)).toEqual({ status: 404, pointers: [] })
    const tooMany = await server.operator('GET', '/environments/pages/costs?days=33')
    expect(problemOf(tooMany)).toEqual({ status: 422, pointers: ['days'] })
  })

  it('takes lines of old agents, and leaves those that make no sense', async () => {
    const { secret } = await makeEnvironment(server, 'odd')
    const key = await enrollHost(server, 'o-1', { secret })
    const name = 'osquery-edge/cost'
    const old = {
      name: 'old',
      query: 'SELECT 1',
      interval: 60,
      executions: 3,
      blacklisted: 1,
      wall_time: 2,
      user_time: 30,
    }
    await send(key, [
      JSON.stringify({ name, action: 'snapshot', snapshot: 'what?', unixTime: 5 }),
      JSON.stringify({
        name,
        action: 'snapshot',
        snapshot: [7, { name: 5 }, { name: 'odd', executions: -1e99 }],
        unixTime: nowS - 2 * HOUR_S,
      }),
      JSON.stringify({ name, action: 'snapshot', columns: old, unixTime: String(nowS - HOUR_S) }),
    ])
    const cost = await costOnce('odd', 'old', () => true)
    expect(cost).toMatchObject({ nodes: 1, denylistedNodes: 1, prevailing: { executions: 3 } })
    expect(cost.prevailing?.perExecution?.['wallMs']).toMatchObject({ max: 667 })
  })
})

describe('pausing a scheduled query', () => {
  const scheduleOf = async (nodeKey: string): Promise<string[]> => {
    const reply = await server.agent('/api/osquery/config', { node_key: nodeKey })
    return Object.keys(reply.json<{ schedule?: object }>().schedule ?? {})
  }

  it('by hand leaves it out of what agents get, until it is resumed; no version is made', async () => {
    const { secret } = await makeEnvironment(server, 'by-hand')
    const key = await enrollHost(server, 'h-1', { secret })
    const query = { query: 'SELECT 1', interval: 60 }
    const path = '/environments/by-hand'
    created(await server.operator('PUT', `${path}/configuration`, { schedule: { a: query, b: query } }), 200)
    const paused = await server.operator('POST', `${path}/costs/a/pause`, { reason: 'too slow' })
    expect(paused.json()).toMatchObject({
      query: 'a',
      paused: { by: 'first', reason: 'too slow' },
      live: true,
    })
    await server.until(async () => (await scheduleOf(key)).join() === 'b')
    const [node] = created<{ items: { id: string }[] }>(
      await server.operator('GET', `${path}/nodes`),
      200,
    ).items
    const shown = await server.operator('GET', `${path}/nodes/${node?.id ?? ''}/configuration`)
    expect(shown.json()).toMatchObject({ version: 2, paused: [{ name: 'a', pointer: '/schedule/a' }] })
    const list = await server.operator('GET', `${path}/costs`)
    expect(list.json()).toMatchObject({ paused: [{ query: 'a', paused: { reason: 'too slow' } }] })
    const edited = { schedule: { a: { ...query, interval: 90 }, b: query } }
    const stored = await server.operator('PUT', `${path}/configuration`, edited)
    expect(stored.json<{ warnings: object[] }>().warnings).toEqual([
      { pointer: '/schedule/a', detail: 'a is paused: agents do not get it until it is resumed' },
    ])
    created(await server.operator('POST', `${path}/costs/a/resume`), 200)
    await server.until(async () => (await scheduleOf(key)).join() === 'a,b')
    const versions = await server.operator('GET', `${path}/configuration/versions`)
    expect(versions.json<{ items: unknown[] }>().items).toHaveLength(3)
    expect(problemOf(await server.operator('POST', `${path}/costs/a/resume`)).status).toBe(404)
    expect(problemOf(await server.operator('POST', `${path}/costs/zzz/pause`, { reason: 'x' })).status).toBe(
      404,
    )
  })

  it('happens by itself when too many nodes have it on their denylist, and not again within a day of a resume', async () => {
    const { secret } = await makeEnvironment(server, 'by-itself')
    const path = '/environments/by-itself'
    const query = { query: 'SELECT 1', interval: 600 }
    created(
      await server.operator('PUT', `${path}/configuration`, { schedule: { bad: query, good: query } }),
      200,
    )
    const rules = { budget: null, autoPause: { share: 0.4, minNodes: 2 } }
    created(await server.operator('PUT', `${path}/cost-rules`, rules), 200)
    const keys: string[] = []
    for (const host of ['n-1', 'n-2', 'n-3', 'n-4']) keys.push(await enrollHost(server, host, { secret }))
    const report = (denied: number, atS: number) =>
      Promise.all(
        keys.map((key, index) =>
          send(key, [
            costLine(atS, [
              { name: 'bad', executions: 1, denylisted: index < denied },
              { name: 'good', executions: 1, denylisted: index === 0 },
            ]),
          ]),
        ),
      )
    const pausedNow = async () => {
      await server.worker.scheduled({ cron: '* * * * *' })
      const list = created<{ paused: { query: string; paused: { by: string; reason: string } }[] }>(
        await server.operator('GET', `${path}/costs`),
        200,
      )
      return list.paused
    }
    await report(1, nowS - 3 * HOUR_S)
    await costOnce('by-itself', 'bad', ({ denylistedNodes }) => denylistedNodes === 1)
    expect(await pausedNow()).toEqual([])
    await report(2, nowS - 2 * HOUR_S)
    await costOnce('by-itself', 'bad', ({ denylistedNodes }) => denylistedNodes === 2)
    const paused = await server.until(async () => {
      const list = await pausedNow()
      return list.length > 0 ? list : null
    })
    expect(paused).toMatchObject([
      { query: 'bad', paused: { by: 'osquery-edge', reason: 'on the denylist of 2 of 4 nodes' } },
    ])
    await server.until(async () => (await scheduleOf(keys[0] ?? '')).join() === 'good')
    const audit = await server.operator('GET', '/audit')
    expect(audit.text).toContain('scheduled-query.pause')
    const detail = await server.operator('GET', `${path}/costs/bad`)
    expect(detail.json<{ denylistedOn: unknown[] }>().denylistedOn).toMatchObject([
      { hostname: 'n-1' },
      { hostname: 'n-2' },
    ])
    created(await server.operator('POST', `${path}/costs/bad/resume`), 200)
    await report(4, nowS - HOUR_S)
    await costOnce('by-itself', 'bad', ({ denylistedNodes }) => denylistedNodes === 4)
    expect(await pausedNow()).toEqual([])
  })
})

describe('what gates read', () => {
  it('is of members only, and since a time', async () => {
    const { id, secret } = await makeEnvironment(server, 'gates')
    const keys = [await enrollHost(server, 'g-1', { secret }), await enrollHost(server, 'g-2', { secret })]
    for (const [index, key] of keys.entries()) {
      await send(key, [costLine(nowS - 5 * HOUR_S, [{ name: 'q', executions: 10 }])])
      const bad = { name: 'q', executions: 20, cpuMs: index === 0 ? 100 : 36_000, denylisted: index === 1 }
      await send(key, [costLine(nowS - HOUR_S, [bad])])
    }
    await costOnce(
      'gates',
      'q',
      ({ denylistedNodes, prevailing }) => denylistedNodes === 1 && prevailing?.executions === 40,
    )
    const time = { sinceMs: (nowS - 3 * HOUR_S) * 1_000, untilMs: nowS * 1_000 }
    const { environmentId } = idsOf(keys[0] ?? '')
    expect(environmentId).toBe(id)
    const one = await costsOfMembers(server.env, id, 1, NodeSet.of([0]), time)
    expect(one).toMatchObject({ nodes: 1, denylisted: [], outputBytes: 10_000 })
    expect(one.cpuMsPerHour?.p50).toBeCloseTo(250, -2)
    const both = await costsOfMembers(server.env, id, 1, null, time)
    expect(both).toMatchObject({ nodes: 2, denylisted: [{ query: 'q', nodes: 1 }], outputBytes: 20_000 })
    const later = await costsOfMembers(server.env, id, 1, null, { sinceMs: nowS * 1_000, untilMs: Infinity })
    expect(later).toMatchObject({ nodes: 0, denylisted: [], cpuMsPerHour: null })
  })
})
