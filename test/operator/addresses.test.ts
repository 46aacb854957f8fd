/** Nodes by address, MAC and user; who had an address at a time; and how that ends. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { tellAgentFacts } from '../../src/db/agent-facts.ts'
import { traceStatements, type TraceKind } from '../../src/db/node-traces.ts'
import { forgetTraces } from '../../src/db/trace-erasures.ts'
import { addressKey } from '../../src/lib/ip-address.ts'
import { presenceStub } from '../../src/presence/kinds.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { allPages, created, enrollHost, makeEnvironment, problemOf } from '../support/operator.ts'

let server: TestServer
let environmentId: string
let ordinals: Record<string, number>

const T0 = Date.parse('2026-11-01T00:00:00Z')
const HOUR = 3_600_000
const ENV = '/environments/traced'

beforeAll(async () => {
  server = await startServer()
  const { id, secret } = await makeEnvironment(server, 'traced')
  environmentId = id
  for (const name of ['alpha', 'beta', 'gamma']) await enrollHost(server, name, { secret })
  const other = await makeEnvironment(server, 'elsewhere')
  await enrollHost(server, 'alien', { secret: other.secret })
  const { results } = await server.env.DB.prepare(
    'SELECT hostname, ordinal FROM nodes WHERE environment_id = ?',
  )
    .bind(id)
    .all<{ hostname: string; ordinal: number }>()
  ordinals = Object.fromEntries(results.map(({ hostname, ordinal }) => [hostname, ordinal]))
  await have('alpha', 'interface', ['10.1.0.5', '2001:db8::5'], T0)
  await have('alpha', 'mac', ['02:00:00:00:00:0a'], T0)
  await have('alpha', 'user', ['alice', 'bob'], T0)
  await have('beta', 'interface', ['10.1.0.6'], T0)
  await have('beta', 'user', ['bob'], T0)
  await have('gamma', 'interface', ['10.2.0.1'], T0)
  for (const [hostname, fromS] of [
    ['alpha', T0 / 1_000],
    ['beta', T0 / 1_000 + 7_200],
  ] as const)
    await at(hostname, '203.0.113.9', fromS)
})
afterAll(() => server.close())

/** What a node has of a kind from then on, and nothing else of it. */
async function have(hostname: string, kind: TraceKind, values: string[], fromMs: number): Promise<void> {
  const state = {
    ordinal: ordinals[hostname] ?? -1,
    kinds: [kind],
    values: values.map((value) => ({ kind, value: addressKey(value) ?? value, fromMs })),
    atMs: fromMs,
  }
  await server.env.DB.batch(traceStatements(server.env.DB, environmentId, [state]))
}

/** Where a node's requests come from, from then on. */
async function at(hostname: string, ip: string, fromS: number): Promise<void> {
  const addresses = [{ key: addressKey(ip) ?? '', fromS }]
  const tidings = { osqueryVersion: null, addresses, left: [] }
  await tellAgentFacts(
    server.env.DB,
    environmentId,
    [{ ordinal: ordinals[hostname] ?? -1, tidings }],
    fromS * 1_000,
  )
}

async function hostnames(query: string): Promise<string[]> {
  const { items } = created<{ items: { hostname: string }[] }>(
    await server.operator('GET', `${ENV}/nodes?${query}`),
    200,
  )
  return items.map(({ hostname }) => hostname)
}

interface Address {
  nodeId: string
  hostname: string
  address: string
  kind: string
  from: string
  until: string | null
  lastSeenAt: string
  deletedAt: string | null
}

async function whoHad(query: string): Promise<string[]> {
  const { items } = created<{ items: Address[] }>(
    await server.operator('GET', `${ENV}/addresses?${query}`),
    200,
  )
  return items.map(({ hostname, kind, from, until }) => `${hostname} ${kind} ${from} ${until ?? 'still'}`)
}

describe('nodes', () => {
  it.each([
    ['ip=10.1.0.5', ['alpha']],
    ['ip=2001:DB8:0::5', ['alpha']],
    ['ip=10.1.0.0/24', ['beta', 'alpha']],
    ['ip=10.0.0.0/8', ['gamma', 'beta', 'alpha']],
    ['ip=203.0.113.9', ['beta', 'alpha']],
    ['ip=10.1.0.7', []],
    ['mac=02-00-00-00-00-0A', ['alpha']],
    ['mac=02:00:00:00:00:0b', []],
    ['user=BOB', ['beta', 'alpha']],
    ['user=bob&ip=10.1.0.6', ['beta']],
    ['user=alice&q=beta', []],
    ['user=alice&online=true', ['alpha']],
  ])('are found by %s', async (query, expected) => {
    expect(await hostnames(query)).toEqual(expected)
  })

  it('are found page by page', async () => {
    const nodes = await allPages<{ hostname: string }>(server, `${ENV}/nodes?ip=10.0.0.0/8`, 1)
    expect(nodes.map(({ hostname }) => hostname)).toEqual(['gamma', 'beta', 'alpha'])
  })

  it('of another environment are not', async () => {
    const reply = await server.operator('GET', '/environments/elsewhere/nodes?ip=10.0.0.0/8')
    expect(reply.json<{ items: unknown[] }>().items).toEqual([])
  })

  it.each([
    ['ip=host', 'ip'],
    ['ip=10.0.0.0/7', 'ip'],
    ['ip=10.0.0.0/33', 'ip'],
    ['ip=2001::/8', 'ip'],
    ['mac=02:00', 'mac'],
    ['user=', 'user'],
    [`user=${'x'.repeat(257)}`, 'user'],
  ])('are not looked for by %s', async (query, pointer) => {
    expect(problemOf(await server.operator('GET', `${ENV}/nodes?${query}`))).toEqual({
      status: 422,
      pointers: [pointer],
    })
  })

  it('are found by indexes, whatever the size of the fleet', async () => {
    const { results } = await server.env.DB.prepare(
      `EXPLAIN QUERY PLAN SELECT id FROM nodes WHERE environment_id = ?1 AND deleted_at IS NULL AND ordinal IN
         (SELECT t.ordinal FROM node_traces AS t WHERE t.environment_id = ?1 AND t.kind IN ('public', 'interface')
          AND t.value BETWEEN ?2 AND ?2 AND t.to_at IS NULL) ORDER BY ordinal DESC LIMIT 10`,
    )
      .bind(environmentId, '4')
      .all<{ detail: string }>()
    const plan = results.map(({ detail }) => detail).join('\n')
    expect(plan).toMatch(/SEARCH nodes USING .*environment_id=\? AND ordinal=\?/)
    expect(plan).toMatch(/SEARCH t USING .*environment_id=\? AND kind=\? AND value>\? AND value<\?/)
  })
})

describe('targets', () => {
  const preview = async (targets: object) => server.operator('POST', `${ENV}/queries/preview`, { targets })

  it.each([
    [{ ips: ['10.1.0.5'] }, 1],
    [{ ips: ['10.1.0.0/24', '10.2.0.1'] }, 3],
    [{ ips: ['203.0.113.9'] }, 2],
    [{ macs: ['02-00-00-00-00-0A'] }, 1],
    [{ users: ['BOB'] }, 2],
    [{ allOf: [{ users: ['bob'] }, { not: { ips: ['10.1.0.6'] } }] }, 1],
  ])('%j mean %i nodes', async (targets, nodes) => {
    expect(created(await preview(targets), 200)).toMatchObject({ nodes })
  })

  it.each([
    [{ ips: ['10.1.0.5', '10.9.9.9'] }, '/targets/ips/1'],
    [{ ips: ['host'] }, '/targets/ips/0'],
    [{ macs: ['02:00'] }, '/targets/macs/0'],
    [{ users: ['nobody'] }, '/targets/users/0'],
  ])('%j are refused, and the value named', async (targets, pointer) => {
    expect(problemOf(await preview(targets))).toEqual({ status: 422, pointers: [pointer] })
  })
})

describe('a node', () => {
  it('shows what it has', async () => {
    const { items } = created<{ items: { id: string }[] }>(
      await server.operator('GET', `${ENV}/nodes?q=alpha`),
      200,
    )
    const since = '2026-11-01T00:00:00.000Z'
    expect((await server.operator('GET', `${ENV}/nodes/${items[0]?.id}`)).json()).toMatchObject({
      addresses: [
        { kind: 'interface', address: '10.1.0.5', since },
        { kind: 'interface', address: '2001:db8::5', since },
        { kind: 'public', address: '203.0.113.9', since },
      ],
      macs: ['02:00:00:00:00:0a'],
      users: ['alice', 'bob'],
      hardwareUuidSeen: null,
    })
  })
})

describe('who had an address', () => {
  beforeAll(async () => {
    await have('beta', 'interface', ['10.1.0.5'], T0 + 10 * HOUR)
    await have('alpha', 'interface', ['10.1.0.99'], T0 + 5 * HOUR)
  })

  it('is told for a time, now, and ever', async () => {
    const alpha = 'alpha interface 2026-11-01T00:00:00.000Z 2026-11-01T05:00:00.000Z'
    const beta = 'beta interface 2026-11-01T10:00:00.000Z still'
    expect(await whoHad('ip=10.1.0.5&at=2026-11-01T03:00:00Z')).toEqual([alpha])
    expect(await whoHad('ip=10.1.0.5&at=2026-11-01T04:00:00%2B01:00')).toEqual([alpha])
    expect(await whoHad('ip=10.1.0.5&at=2026-11-01T07:00:00Z')).toEqual([])
    expect(await whoHad('ip=10.1.0.5&at=2026-11-20T00:00:00Z')).toEqual([beta])
    expect(await whoHad('ip=10.1.0.5&at=2026-10-31T00:00:00Z')).toEqual([])
    expect(await whoHad('ip=10.1.0.5')).toEqual([beta, alpha])
  })

  it('is told of shared public addresses: each node behind it', async () => {
    expect(
      (await whoHad('ip=203.0.113.9&at=2026-11-01T03:00:00Z')).map((text) => text.split(' ')[0]),
    ).toEqual(['beta', 'alpha'])
    expect(await whoHad('ip=203.0.113.9&at=2026-11-01T01:00:00Z')).toHaveLength(1)
  })

  it('is told page by page, of a network too', async () => {
    const all = await allPages<Address>(server, `${ENV}/addresses?ip=10.1.0.0/16`, 1)
    expect(all.map(({ hostname, address }) => `${hostname} ${address}`)).toEqual([
      'beta 10.1.0.5',
      'alpha 10.1.0.99',
      'beta 10.1.0.6',
      'alpha 10.1.0.5',
    ])
  })

  it.each([
    ['', ['ip']],
    ['ip=x', ['ip']],
    ['ip=10.1.0.5&at=yesterday', ['at']],
  ])('is not told for %j', async (query, pointers) => {
    expect(problemOf(await server.operator('GET', `${ENV}/addresses?${query}`))).toEqual({
      status: 422,
      pointers,
    })
  })
})

describe('the end of it', () => {
  it('comes with the node: it had until then what it had', async () => {
    const { id, secret } = await makeEnvironment(server, 'ended')
    await enrollHost(server, 'short-lived', { secret })
    const state = {
      ordinal: 0,
      kinds: ['interface' as const],
      values: [{ kind: 'interface' as const, value: addressKey('10.5.0.1') ?? '', fromMs: T0 }],
      atMs: T0,
    }
    await server.env.DB.batch(traceStatements(server.env.DB, id, [state]))
    const { items } = created<{ items: { id: string }[] }>(
      await server.operator('GET', '/environments/ended/nodes?ip=10.5.0.1'),
      200,
    )
    await server.operator('DELETE', `/environments/ended/nodes/${items[0]?.id}`)
    const left = created<{ items: Address[] }>(
      await server.operator('GET', '/environments/ended/addresses?ip=10.5.0.1'),
      200,
    ).items
    expect(left).toMatchObject([{ hostname: 'short-lived', until: left[0]?.deletedAt }])
    expect(left[0]?.deletedAt).not.toBeNull()
  })

  it('comes with retention, which an environment sets', async () => {
    await have('gamma', 'user', ['carol'], T0)
    await have('gamma', 'user', ['dave'], T0 + HOUR)
    const users = async () => {
      const { results } = await server.env.DB.prepare(
        "SELECT value FROM node_traces WHERE environment_id = ?1 AND ordinal = ?2 AND kind = 'user' ORDER BY value",
      )
        .bind(environmentId, ordinals['gamma'])
        .all<{ value: string }>()
      return results.map(({ value }) => value)
    }
    const path = `${ENV}/retention`
    expect((await server.operator('GET', path)).json()).toMatchObject({ tracesRetentionDays: 90 })
    created(await server.operator('PATCH', path, { tracesRetentionDays: 7 }), 200)
    expect((await server.operator('GET', path)).json()).toMatchObject({ tracesRetentionDays: 7 })
    await forgetTraces(server.env, T0 + HOUR + 7 * 24 * HOUR)
    expect(await users()).toEqual(['carol', 'dave'])
    await forgetTraces(server.env, T0 + 2 * HOUR + 7 * 24 * HOUR)
    expect(await users()).toEqual(['dave'])
    const refused = problemOf(await server.operator('PATCH', path, { tracesRetentionDays: 0 }))
    expect(refused).toEqual({ status: 422, pointers: ['/tracesRetentionDays'] })
    created(await server.operator('PATCH', path, { tracesRetentionDays: 730 }), 200)
  })

  it('comes with the erasure of a node: what was seen until then does not come back', async () => {
    const [alpha = -1, beta = -1] = [ordinals['alpha'], ordinals['beta']]
    const nowS = Math.floor(Date.now() / 1_000)
    const ride = (ordinal: number) => ({
      ordinal,
      atS: nowS,
      osqueryVersion: '5.23.1',
      ip: '203.0.113.9',
      keyIssuedAtS: 0,
    })
    await presenceStub(server.env, environmentId, 0).flush([], {}, [ride(alpha), ride(beta)])
    const { items } = created<{ items: { id: string; lastIp: string | null }[] }>(
      await server.operator('GET', `${ENV}/nodes?q=alpha`),
      200,
    )
    expect(items[0]?.lastIp).toBe('203.0.113.9')
    created(await server.operator('DELETE', `${ENV}/nodes/${items[0]?.id}/logs`), 202)
    expect((await server.operator('GET', `${ENV}/nodes/${items[0]?.id}`)).json()).toMatchObject({
      lastIp: null,
      addresses: [],
      macs: [],
      users: [],
    })
    expect(await whoHad('ip=10.1.0.99')).toEqual([])
    await have('alpha', 'user', ['alice'], T0)
    expect(await hostnames('user=alice')).toEqual([])
    await have('alpha', 'user', ['alice'], Date.now() + 1_000)
    expect(await hostnames('user=alice')).toEqual(['alpha'])
    expect(await whoHad('ip=203.0.113.9')).toHaveLength(1)
  })

  it('comes with the erasure of an environment: at once to readers, in pieces in D1', async () => {
    const { receivedUntil } = created<{ receivedUntil: string }>(
      await server.operator('DELETE', `${ENV}/logs`, { environment: 'traced' }),
      202,
    )
    expect(await whoHad('ip=10.0.0.0/8')).toEqual([])
    expect(await hostnames('ip=10.0.0.0/8')).toEqual([])
    const afterMs = Date.now() + 5_000
    await have('beta', 'interface', ['10.1.0.5'], afterMs)
    expect(await hostnames('ip=10.1.0.5')).toEqual(['beta'])
    await forgetTraces(server.env, afterMs)
    const { results } = await server.env.DB.prepare(
      'SELECT value FROM node_traces WHERE environment_id = ? AND from_at <= ?',
    )
      .bind(environmentId, Date.parse(receivedUntil))
      .all()
    expect(results).toEqual([])
    const open = await server.env.DB.prepare('SELECT 1 FROM trace_erasures WHERE finished_at IS NULL').all()
    expect(open.results).toEqual([])
    expect(await hostnames('ip=10.1.0.5')).toEqual(['beta'])
  })
})
