/** Managed intervals: what operators set, and what agents of each splay bucket then get; and what a plan says it costs. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { controlDb } from '../../src/db/control.ts'
import { distributedIntervalOption } from '../../src/db/nodes.ts'
import { splayedInterval } from '../../src/fleet/splay.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { created, enrollHost, makeEnvironment, problemOf } from '../support/operator.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

const ALL = { config_tls_refresh: 600, distributed_interval: 120, logger_tls_period: 300 }

interface Options {
  options?: Record<string, number>
}

async function configOf(nodeKey: string): Promise<string> {
  return (await server.agent('/api/osquery/config', { node_key: nodeKey })).text
}

async function optionsOf(nodeKey: string): Promise<Record<string, number>> {
  return (JSON.parse(await configOf(nodeKey)) as Options).options ?? {}
}

/** Waits until an agent's document says this. */
async function untilOptions(nodeKey: string, wanted: (options: Record<string, number>) => boolean) {
  return server.until(async () => {
    const options = await optionsOf(nodeKey)
    return wanted(options) ? options : null
  })
}

function set(name: string, body: unknown) {
  return server.operator('PUT', `/environments/${name}/intervals`, body)
}

describe('an environment', () => {
  it('manages none until it is told to, and recommends some', async () => {
    await makeEnvironment(server, 'fresh')
    expect((await server.operator('GET', '/environments/fresh/intervals')).json()).toMatchObject({
      managed: false,
      config_tls_refresh: null,
      recommended: { config_tls_refresh: 300, distributed_interval: 60, logger_tls_period: 300 },
      splay: { buckets: 16, share: 0.1 },
    })
  })

  it('gives each node the intervals of its splay bucket, the same bytes each time, and audits the change', async () => {
    const { id, secret } = await makeEnvironment(server, 'splayed')
    const keys: string[] = []
    for (let i = 0; i < 6; i += 1) keys.push(await enrollHost(server, `splayed-${i}`, { secret }))
    expect(created(await set('splayed', ALL), 200)).toMatchObject({ managed: true, ...ALL, live: true })
    const allowed = Array.from({ length: 16 }, (_, bucket) => splayedInterval(120, bucket))
    const seen = new Set<number>()
    for (const key of keys) {
      const options = await untilOptions(
        key,
        ({ distributed_interval }) => distributed_interval !== undefined,
      )
      const { distributed_interval: seconds = 0 } = options
      seen.add(seconds)
      const bucket = allowed.indexOf(seconds)
      expect(options).toEqual({
        config_tls_refresh: splayedInterval(600, bucket),
        distributed_interval: seconds,
        logger_tls_period: splayedInterval(300, bucket),
      })
      expect(await configOf(key)).toBe(await configOf(key))
    }
    expect(seen.size).toBeGreaterThan(2)
    const { items } = created<{ items: unknown[] }>(
      await server.operator('GET', `/audit?environment=${id}&limit=1`),
      200,
    )
    expect(items).toMatchObject([{ action: 'intervals.set', detail: ALL }])
  })

  it('shows what a node gets, and that the server said it', async () => {
    const { secret } = await makeEnvironment(server, 'shown')
    const key = await enrollHost(server, 'shown-1', { secret })
    created(await set('shown', ALL), 200)
    await untilOptions(key, ({ logger_tls_period }) => logger_tls_period !== undefined)
    const { items } = created<{ items: { id: string }[] }>(
      await server.operator('GET', '/environments/shown/nodes'),
      200,
    )
    const shown = created<{ origins: unknown[]; document: unknown }>(
      await server.operator('GET', `/environments/shown/nodes/${items[0]?.id}/configuration`),
      200,
    )
    expect(shown.document).toEqual(JSON.parse(await configOf(key)))
    expect(shown.origins).toContainEqual({
      pointer: '/options/distributed_interval',
      layer: 'managed intervals',
    })
  })

  it('tells agents the defaults once it manages none any more', async () => {
    const { secret } = await makeEnvironment(server, 'ended')
    const key = await enrollHost(server, 'ended-1', { secret })
    created(await set('ended', ALL), 200)
    await untilOptions(key, ({ logger_tls_period }) => (logger_tls_period ?? 0) > 4)
    expect(created(await set('ended', {}), 200)).toMatchObject({ managed: false })
    expect(await untilOptions(key, ({ logger_tls_period }) => logger_tls_period === 4)).toEqual({
      distributed_interval: 60,
      logger_tls_period: 4,
    })
  })

  it('is what decides for how long a node that was not seen counts as online', async () => {
    const { id } = await makeEnvironment(server, 'counted')
    const interval = () => distributedIntervalOption(controlDb(server.env.DB), id)
    expect(await interval()).toBeNull()
    created(await set('counted', ALL), 200)
    expect(await interval()).toBe(132)
    const options = { distributed_interval: 17 }
    created(await server.operator('PUT', '/environments/counted/configuration', { options }), 200)
    expect(await interval()).toBe(17)
  })

  it('leaves to operators what they write, and warns of it', async () => {
    const { secret } = await makeEnvironment(server, 'written')
    const key = await enrollHost(server, 'written-1', { secret })
    created(
      await server.operator('PUT', '/environments/written/configuration', {
        options: { distributed_interval: 17 },
      }),
      200,
    )
    const { warnings } = created<{ warnings: { pointer: string }[] }>(await set('written', ALL), 200)
    expect(warnings.map(({ pointer }) => pointer)).toEqual(['/options/distributed_interval'])
    const options = await untilOptions(key, ({ logger_tls_period }) => logger_tls_period !== undefined)
    expect(options['distributed_interval']).toBe(17)
    const again = created<{ warnings: { pointer: string }[] }>(
      await server.operator('PUT', '/environments/written/configuration', {
        options: { distributed_interval: 18 },
      }),
      200,
    )
    expect(again.warnings.map(({ pointer }) => pointer)).toContain('/options/distributed_interval')
  })
})

describe('a layer', () => {
  it('has intervals of its own, without saying anything in its document', async () => {
    const { secret } = await makeEnvironment(server, 'layered')
    const linux = await enrollHost(server, 'layered-linux', { secret })
    const mac = await enrollHost(server, 'layered-mac', { secret, platform: 'darwin', platformType: '21' })
    const layer = { match: { platform: 'linux' }, document: {} }
    created(await server.operator('PUT', '/environments/layered/configuration/layers/linux', layer), 200)
    created(await set('layered', { ...ALL, layers: { linux: { distributed_interval: 1_000 } } }), 200)
    const slow = await untilOptions(linux, ({ distributed_interval }) => (distributed_interval ?? 0) >= 900)
    expect(slow['distributed_interval']).toBeLessThanOrEqual(1_100)
    const fast = await untilOptions(mac, ({ distributed_interval }) => distributed_interval !== undefined)
    expect(fast['distributed_interval']).toBeLessThanOrEqual(132)
    created(await server.operator('DELETE', '/environments/layered/configuration/layers/linux'), 200)
    expect((await server.operator('GET', '/environments/layered/intervals')).json()).toMatchObject({
      warnings: [{ pointer: '/layers/linux' }],
    })
  })
})

describe('bad input', () => {
  it.each([
    [{ distributed_interval: 60 }, ['/config_tls_refresh', '/logger_tls_period']],
    [{ ...ALL, distributed_interval: 4 }, ['/distributed_interval']],
    [{ ...ALL, distributed_interval: 86_401 }, ['/distributed_interval']],
    [{ ...ALL, distributed_interval: 1.5 }, ['/distributed_interval']],
    [{ ...ALL, config_refresh: 60 }, ['/config_refresh']],
    [{ ...ALL, layers: { none: {} } }, ['/layers/none']],
    [{ layers: {}, distributed_interval: null }, ['/distributed_interval']],
  ])('%j is refused, and the field named', async (body, pointers) => {
    expect(problemOf(await set('default', body))).toEqual({ status: 422, pointers })
  })
})

it('a document that leaves no room for intervals is refused: agents take less than 1 MiB', async () => {
  await makeEnvironment(server, 'full')
  const documentOf = (bytes: number) => {
    const empty = '{"schedule":{"large":{"query":"","interval":60}}}'
    return empty.replace('""', `"${'x'.repeat(bytes - empty.length)}"`)
  }
  const limit = 1_024 * 1_024 - 1
  const put = (bytes: number) => server.operator('PUT', '/environments/full/configuration', documentOf(bytes))
  expect((await put(limit - 20)).status).toBe(422)
  expect((await put(limit - 200)).status).toBe(200)
})

describe('GET …/plan', () => {
  const plan = (query: string) => server.operator('GET', `/environments/default/plan?${query}`)

  it('computes requests by the formula, peaks, and the bill item by item', async () => {
    const reply = created<{
      nodes: number
      intervals: unknown
      requests: { perSecond: number; peak: { unsplayed: number; splayed: number } }
      bill: { items: { item: string; dollars: number }[]; totalDollars: number; planDollars: number }
    }>(
      await plan(
        'nodes=10000&distributed_interval=60&config_tls_refresh=300&logger_tls_period=300&port=queue',
      ),
      200,
    )
    expect(reply.intervals).toMatchObject({ distributed_interval: { seconds: 60, from: 'query' } })
    expect(reply.requests.perSecond).toBeCloseTo(233.33, 1)
    expect(reply.requests.peak.unsplayed).toBe(30_000)
    expect(reply.requests.peak.splayed).toBeLessThan(10_000)
    const sum = reply.bill.items.reduce((total, { dollars }) => total + dollars, reply.bill.planDollars)
    expect(sum).toBeCloseTo(reply.bill.totalDollars)
    expect(reply.bill.totalDollars).toBeGreaterThan(250)
    expect(reply.bill.totalDollars).toBeLessThan(400)
  })

  it('takes what the environment has where nothing is said, and tells where it is from', async () => {
    await makeEnvironment(server, 'planned')
    created(await set('planned', ALL), 200)
    const reply = await server.operator('GET', '/environments/planned/plan')
    expect(reply.json()).toMatchObject({
      nodes: 0,
      intervals: { distributed_interval: { seconds: 120, from: 'managed intervals' } },
      assumed: { port: 'inbox', retentionDays: 90 },
    })
    // The starter configuration says its own.
    expect((await plan('nodes=5')).json()).toMatchObject({
      nodes: 5,
      intervals: {
        distributed_interval: { seconds: 10, from: 'configuration' },
        logger_tls_period: { from: 'recommended' },
      },
    })
  })

  it.each([
    ['nodes=0', 'nodes'],
    ['nodes=ten', 'nodes'],
    ['distributed_interval=604801', 'distributed_interval'],
    ['port=both', 'port'],
    ['retentionDays=8', 'retentionDays'],
    ['nodes=5&config_refresh=60', 'config_refresh'],
  ])('?%s is refused, and the parameter named', async (query, pointer) => {
    expect(problemOf(await plan(query))).toEqual({ status: 422, pointers: [pointer] })
  })
})
