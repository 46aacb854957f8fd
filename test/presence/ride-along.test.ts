/** What rides along with presence: through the guard, over the object, into D1. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { tellAgentFacts, type AgentNews } from '../../src/db/agent-facts.ts'
import { addressKey, addressOfKey } from '../../src/lib/ip-address.ts'
import { presenceStub, type RideAlong } from '../../src/presence/kinds.ts'
import { lastSeenOf } from '../../src/presence/read.ts'
import { ENROLL_SECRET, startServer, type TestServer } from '../support/harness.ts'
import { enrollHost } from '../support/operator.ts'
import { defaultEnvironmentId, ordinalOf } from '../support/queries.ts'

let server: TestServer
let environmentId: string
beforeAll(async () => {
  server = await startServer({ guarded: true })
  environmentId = await defaultEnvironmentId(server)
})
afterAll(() => server.close())

const nowS = () => Math.floor(Date.now() / 1_000)

interface Trace {
  kind: string
  value: string
  from_at: number
  to_at: number | null
}

async function tracesOf(ordinal: number): Promise<Trace[]> {
  const { results } = await server.env.DB.prepare(
    'SELECT kind, value, from_at, to_at FROM node_traces WHERE environment_id = ?1 AND ordinal = ?2 ORDER BY from_at, value',
  )
    .bind(environmentId, ordinal)
    .all<Trace>()
  return results.map((trace) => ({ ...trace, value: addressOfKey(trace.value) }))
}

async function versionOf(ordinal: number): Promise<string | null> {
  return server.env.DB.prepare('SELECT osquery_version FROM nodes WHERE environment_id = ?1 AND ordinal = ?2')
    .bind(environmentId, ordinal)
    .first<string>('osquery_version')
}

function news(ordinal: number, tidings: Partial<AgentNews['tidings']>): AgentNews {
  return { ordinal, tidings: { osqueryVersion: null, addresses: null, left: [], ...tidings } }
}

const at = (ip: string, fromS: number) => ({ key: addressKey(ip) ?? '', fromS })

function enrollBody(hostname: string) {
  return {
    enroll_secret: ENROLL_SECRET,
    host_identifier: hostname,
    platform_type: '9',
    host_details: {
      system_info: { hostname, uuid: crypto.randomUUID() },
      os_version: { platform: 'ubuntu' },
      osquery_info: { version: '5.23.1', instance_id: crypto.randomUUID() },
    },
  }
}

describe('a request through the guard', () => {
  it('brings version and address into the inventory, as Cloudflare saw them', async () => {
    // An enroll that says one version in its body and another in its header: an agent that was upgraded since.
    const headers = { 'user-agent': 'osquery/5.24.0', 'cf-connecting-ip': '2001:DB8::9' }
    await server.agent('/api/osquery/enroll', enrollBody('upgraded'), headers)
    const ordinal = await ordinalOf(server, 'upgraded')
    const seen = await server.until(async () => {
      const last = (await lastSeenOf(server.env, environmentId, [ordinal])).get(ordinal)
      return last?.agent?.osqueryVersion === '5.24.0' ? last.agent : null
    })
    expect(seen).toEqual({
      osqueryVersion: '5.24.0',
      address: { ip: '2001:db8::9', sinceS: expect.any(Number) as number },
    })
    await server.until(async () => (await versionOf(ordinal)) === '5.24.0')
    const traces = await tracesOf(ordinal)
    expect(traces.filter(({ value }) => value === '2001:db8::9')).toEqual([
      { kind: 'public', value: '2001:db8::9', from_at: expect.any(Number) as number, to_at: null },
    ])
  })
})

describe('the Presence object', () => {
  const stub = (id: string) => presenceStub(server.env, id, 0)
  const ride = (ordinal: number, osqueryVersion: string, ip: string): RideAlong => ({
    ordinal,
    atS: nowS(),
    osqueryVersion,
    ip,
    keyIssuedAtS: 0,
  })

  it('stores what rode along before it says that it has it', async () => {
    const id = crypto.randomUUID()
    await stub(id).flush([], {}, [ride(5, '5.23.1', '203.0.113.9'), ride(6, '', '')])
    const storage = await server.worker.getDurableObjectStorage('PRESENCE', { name: `${id}/0` })
    const rows = await storage.exec<{ ordinal: number; state: string; due_s: number }>('SELECT * FROM agents')
    expect(rows.map(({ ordinal, due_s }) => [ordinal, due_s])).toEqual([[5, 0]])
    expect(JSON.parse(rows[0]?.state ?? '')).toMatchObject({ format: 1, osqueryVersion: '5.23.1' })
    const seen = await lastSeenOf(server.env, id, [5, 6, 7])
    expect(seen.get(5)?.agent).toEqual({
      osqueryVersion: '5.23.1',
      address: { ip: '203.0.113.9', sinceS: expect.any(Number) as number },
    })
    expect(seen.get(7)?.agent).toBeUndefined()
  })

  it('takes a flush from a Worker of before: nothing rode along', async () => {
    const id = crypto.randomUUID()
    const before = stub(id).flush as (sightings: [], counters: object) => Promise<void>
    await before([], {})
    expect((await lastSeenOf(server.env, id, [5])).get(5)?.agent).toBeUndefined()
  })

  it('writes nothing for what is said again', async () => {
    const id = crypto.randomUUID()
    await stub(id).flush([], {}, [ride(5, '5.23.1', '203.0.113.9')])
    const storage = await server.worker.getDurableObjectStorage('PRESENCE', { name: `${id}/0` })
    await storage.exec('CREATE TABLE writes (n INTEGER)')
    await storage.exec(
      'CREATE TRIGGER counted AFTER INSERT ON agents BEGIN INSERT INTO writes VALUES (new.ordinal); END',
    )
    await stub(id).flush([], {}, [ride(5, '5.23.1', '203.0.113.9')])
    expect(await storage.exec('SELECT n FROM writes')).toEqual([])
    await stub(id).flush([], {}, [ride(5, '5.23.1', '203.0.113.10')])
    expect(await storage.exec('SELECT n FROM writes')).toEqual([{ n: 5 }])
  })

  it('forgets where a node was seen', async () => {
    const id = crypto.randomUUID()
    await stub(id).flush([], {}, [ride(5, '5.23.1', '203.0.113.9'), ride(6, '5.23.1', '203.0.113.9')])
    await stub(id).forgetAgents(5)
    const seen = await lastSeenOf(server.env, id, [5, 6])
    expect([seen.get(5)?.agent, seen.get(6)?.agent?.osqueryVersion]).toEqual([undefined, '5.23.1'])
  })
})

describe('what D1 is told', () => {
  it('begins and ends traces, and the same again changes nothing', async () => {
    await enrollHost(server, 'traced')
    const ordinal = await ordinalOf(server, 'traced')
    const own = async () => (await tracesOf(ordinal)).filter(({ value }) => value.startsWith('192.0.2.'))
    const first = [news(ordinal, { addresses: [at('192.0.2.1', 1_000)] })]
    await tellAgentFacts(server.env.DB, environmentId, first, 5_000_000)
    await tellAgentFacts(server.env.DB, environmentId, first, 6_000_000)
    const one = { kind: 'public', value: '192.0.2.1', from_at: 1_000_000 }
    expect(await own()).toEqual([{ ...one, to_at: null }])
    const moved = [
      news(ordinal, {
        addresses: [at('192.0.2.2', 2_000)],
        left: [{ key: at('192.0.2.1', 0).key, untilS: 2_500 }],
      }),
    ]
    await tellAgentFacts(server.env.DB, environmentId, moved, 7_000_000)
    await tellAgentFacts(server.env.DB, environmentId, moved, 8_000_000)
    expect(await own()).toEqual([
      { ...one, to_at: 2_500_000 },
      { kind: 'public', value: '192.0.2.2', from_at: 2_000_000, to_at: null },
    ])
    await tellAgentFacts(
      server.env.DB,
      environmentId,
      [news(ordinal, { addresses: [at('192.0.2.3', 3_000)] })],
      9_000_000,
    )
    expect((await own()).map(({ value, to_at }) => [value, to_at])).toEqual([
      ['192.0.2.1', 2_500_000],
      ['192.0.2.2', 9_000_000],
      ['192.0.2.3', null],
    ])
  })

  it('changes no node that was deleted, and none of another environment', async () => {
    await enrollHost(server, 'deleted')
    const ordinal = await ordinalOf(server, 'deleted')
    await server.env.DB.prepare('UPDATE nodes SET deleted_at = 1 WHERE environment_id = ?1 AND ordinal = ?2')
      .bind(environmentId, ordinal)
      .run()
    const told = [news(ordinal, { osqueryVersion: '9.9.9', addresses: [at('192.0.2.1', 1_000)] })]
    await tellAgentFacts(server.env.DB, environmentId, told, 5_000_000)
    await tellAgentFacts(server.env.DB, crypto.randomUUID(), told, 5_000_000)
    expect([await versionOf(ordinal), (await tracesOf(ordinal)).map(({ value }) => value)]).not.toContain(
      '9.9.9',
    )
    expect((await tracesOf(ordinal)).map(({ value }) => value)).not.toContain('192.0.2.1')
  })

  it('brings nothing back that was erased', async () => {
    await enrollHost(server, 'erased')
    const ordinal = await ordinalOf(server, 'erased')
    await server.env.DB.prepare(
      'INSERT INTO trace_erasures (environment_id, ordinal, until_at) VALUES (?1, ?2, 2000000)',
    )
      .bind(environmentId, ordinal)
      .run()
    const told = [news(ordinal, { addresses: [at('192.0.2.1', 1_000), at('192.0.2.2', 3_000)] })]
    await tellAgentFacts(server.env.DB, environmentId, told, 5_000_000)
    expect(
      (await tracesOf(ordinal)).map(({ value }) => value).filter((value) => value.startsWith('192.')),
    ).toEqual(['192.0.2.2'])
  })
})
