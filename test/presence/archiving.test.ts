/** Nodes that were not seen for long are archived, and come back by themselves. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeNodeKey } from '../../src/agent/node-key.ts'
import { loadSigningKeys } from '../../src/agent/signing-keys.ts'
import { presenceStub } from '../../src/presence/kinds.ts'
import { SIGNING_KEYS, startServer, type TestServer } from '../support/harness.ts'
import '../support/workerd-crypto.ts'
import { created, enrollHost, makeEnvironment } from '../support/operator.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer({ entry: 'test/faults/entry.ts' })
})
afterAll(() => server.close())

const DAY_MS = 86_400_000
/** A tick that looks for those who are back, too. */
const TEN_MINUTES_MS = 600_000

const GONE = 'uuid:0192f0e1-d2c3-7a6b-8c5d-000000000001'
const SIGNING = await loadSigningKeys(SIGNING_KEYS)

/** An environment that archives after 30 days, with a node that was seen now and one that never was since it enrolled. */
async function fleet(name: string) {
  const { id, secret } = await makeEnvironment(server, name)
  const seen = await enrollHost(server, 'seen', { secret })
  const { DB } = server.env
  const columns = `id, environment_id, ordinal, identity, hostname, platform, platform_family, osquery_version,
    host_identifier, hardware_uuid, hardware_serial, instance_id, host_details, first_enrolled_at, enrolled_at`
  const nodeId = crypto.randomUUID()
  await DB.prepare(
    `INSERT INTO nodes (${columns}) VALUES (?1, ?2, 1, ?3, 'gone', '', '', '', '', '', '', '', '{}', 0, 0)`,
  )
    .bind(nodeId, id, GONE)
    .run()
  await DB.prepare('UPDATE nodes SET enrolled_at = ?2 WHERE environment_id = ?1')
    .bind(id, Date.now() - 60 * DAY_MS)
    .run()
  const gone = await makeNodeKey(SIGNING, {
    environmentId: id,
    nodeId,
    ordinal: 1,
    platformFamily: 'linux',
    splayBucket: 1,
    issuedAtS: Math.floor(Date.now() / 1_000) - 60 * 86_400,
  })
  await server.until(async () => (await lastSeenS(id, 0)) > 0)
  const body = { archiveAfterDays: 30 }
  created(await server.operator('PATCH', `/environments/${name}/admission`, body), 200)
  return { id, secret, keys: { seen, gone }, path: `/environments/${name}` }
}

async function lastSeenS(id: string, ordinal: number): Promise<number> {
  const [seen] = await presenceStub(server.env, id, ordinal).lastSeen([ordinal])
  return Math.max(...Object.values(seen?.atS ?? {}))
}

function poll(nodeKey: string) {
  return server.agent('/api/osquery/distributed/read', { node_key: nodeKey })
}

async function tick(atMs = Math.ceil(Date.now() / TEN_MINUTES_MS) * TEN_MINUTES_MS): Promise<void> {
  await server.worker.scheduled({ cron: '* * * * *', scheduledTime: new Date(atMs) })
}

async function hostnames(path: string, state: string): Promise<string[]> {
  const reply = await server.operator('GET', `${path}/nodes?state=${state}`)
  return reply.json<{ items: { hostname: string }[] }>().items.map(({ hostname }) => hostname)
}

describe('a node that was not seen for long', () => {
  it('is archived: not listed, not asked, and counted; others stay', async () => {
    const { path } = await fleet('archiving')
    await tick()
    expect(await hostnames(path, 'archived')).toEqual(['gone'])
    expect(await hostnames(path, 'active')).toEqual(['seen'])
    const preview = await server.operator('POST', `${path}/queries/preview`, { targets: { all: true } })
    expect(preview.json()).toMatchObject({ nodes: 1 })
    expect((await server.operator('GET', `${path}/admission`)).json()).toMatchObject({
      nodes: { active: 1, archived: 1 },
    })
    const audit = (await server.operator('GET', '/audit?limit=1')).json<{ items: object[] }>()
    expect(audit.items[0]).toMatchObject({ action: 'nodes.archive', actor: 'schedule', detail: { nodes: 1 } })
  })

  it('comes back by itself when it polls, with the key that it had, and its poll costs what any costs', async () => {
    const { id, keys, path } = await fleet('returning')
    await tick()
    expect(await hostnames(path, 'archived')).toEqual(['gone'])
    await poll(keys.gone)
    const reply = await poll(keys.gone)
    expect(reply.text).toBe('{}')
    const calls = JSON.parse(reply.headers.get('x-test-calls') ?? '{}') as Record<string, number>
    expect(Object.keys(calls).filter((call) => call.startsWith('DB'))).toEqual([])
    // What the isolate would flush within 15 s.
    const sighting = {
      ordinal: 1,
      kind: 'read',
      atS: Math.floor(Date.now() / 1_000),
      configurationVersion: 0,
    } as const
    await presenceStub(server.env, id, 1).flush([sighting], {})
    await tick()
    expect(await hostnames(path, 'active')).toEqual(['gone', 'seen'])
  })

  it('comes back at once when it enrolls', async () => {
    const { secret, path } = await fleet('enrolling')
    await tick()
    expect(await hostnames(path, 'archived')).toEqual(['gone'])
    await enrollHost(server, 'gone', { secret, uuid: GONE.slice('uuid:'.length) })
    expect(await hostnames(path, 'archived')).toEqual([])
  })

  it('stays where presence or D1 is away: the next day is as good', async () => {
    const { path } = await fleet('outage')
    const faults = (modes: object) =>
      server.harness.fetch('/test/faults', { method: 'POST', body: JSON.stringify(modes) })
    for (const binding of ['PRESENCE', 'DB']) {
      await faults({ [binding]: 'throw' })
      await tick()
      await faults({})
      expect(await hostnames(path, 'archived')).toEqual([])
    }
    await tick()
    expect(await hostnames(path, 'archived')).toEqual(['gone'])
  })

  it('is looked for once a day, and not at all where the environment does not want it', async () => {
    const { id, path } = await fleet('daily')
    await tick()
    const { DB } = server.env
    await DB.prepare('UPDATE nodes SET archived_at = NULL WHERE environment_id = ?').bind(id).run()
    await tick()
    expect(await hostnames(path, 'archived')).toEqual([])
    created(await server.operator('PATCH', `${path}/admission`, { archiveAfterDays: 0 }), 200)
    await tick(Date.now() + 2 * DAY_MS)
    expect(await hostnames(path, 'archived')).toEqual([])
  })
})
