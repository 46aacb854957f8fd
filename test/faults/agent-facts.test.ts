/** What rode along with presence, while D1 or the Presence object is away: it is told later, and nothing else waits. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { presenceStub, type RideAlong } from '../../src/presence/kinds.ts'
import { lastSeenOf } from '../../src/presence/read.ts'
import { ENROLL_SECRET, startServer, type TestServer } from '../support/harness.ts'
import { defaultEnvironmentId, ordinalOf } from '../support/queries.ts'

let server: TestServer
let environmentId: string
beforeAll(async () => {
  server = await startServer({ entry: 'test/faults/entry.ts' })
  environmentId = await defaultEnvironmentId(server)
})
afterAll(() => server.close())

const faults = (body: object) =>
  server.harness.fetch('/test/faults', { method: 'POST', body: JSON.stringify(body) })

function ride(ordinal: number, osqueryVersion: string): RideAlong {
  return { ordinal, atS: Math.floor(Date.now() / 1_000), osqueryVersion, ip: '203.0.113.9', keyIssuedAtS: 0 }
}

function enrollBody(hostname: string) {
  return {
    enroll_secret: ENROLL_SECRET,
    host_identifier: hostname,
    platform_type: '9',
    host_details: {
      system_info: { hostname, uuid: crypto.randomUUID() },
      osquery_info: { version: '5.23.1', instance_id: crypto.randomUUID() },
    },
  }
}

async function versionOf(ordinal: number): Promise<string | null> {
  return server.env.DB.prepare('SELECT osquery_version FROM nodes WHERE environment_id = ?1 AND ordinal = ?2')
    .bind(environmentId, ordinal)
    .first<string>('osquery_version')
}

describe('with D1 away', () => {
  it('a Presence object tells it a minute later, all that it has', async () => {
    // The object hears nothing of the enroll: what it told of a node lately it would not tell again for ten minutes.
    await server.agent('/api/osquery/enroll', enrollBody('waiting'), { 'x-test-faults': 'PRESENCE=throw' })
    const ordinal = await ordinalOf(server, 'waiting')
    await faults({ DB: 'throw' })
    await presenceStub(server.env, environmentId, ordinal).flush([], {}, [ride(ordinal, '5.24.0')])
    const storage = await server.worker.getDurableObjectStorage('PRESENCE', { name: `${environmentId}/0` })
    const [tried] = await server.until(async () => {
      const rows = await storage.exec<{ at_ms: number }>('SELECT at_ms FROM hand_over')
      return rows.length > 0 ? rows : null
    })
    await faults({})
    expect(await versionOf(ordinal)).toBe('5.23.1')
    expect((await lastSeenOf(server.env, environmentId, [ordinal])).get(ordinal)?.agent?.osqueryVersion).toBe(
      '5.24.0',
    )
    expect(
      (await storage.exec<{ due_s: number | null }>('SELECT due_s FROM agents')).map((row) => row.due_s),
    ).toContain(0)
    // So that the test need not wait for the minute: news come, and it was not a minute ago.
    await storage.exec('UPDATE hand_over SET at_ms = ?', (tried?.at_ms ?? 0) - 60_000)
    await presenceStub(server.env, environmentId, ordinal).flush([], {}, [ride(60_000, '5.23.1')])
    await server.until(async () => (await versionOf(ordinal)) === '5.24.0')
  })
})

describe('with the Presence object away', () => {
  it('an agent is answered all the same', async () => {
    const fault = { 'x-test-faults': 'PRESENCE=throw' }
    const enrolled = await server.agent('/api/osquery/enroll', enrollBody('unheard'), fault)
    const { node_key: nodeKey } = enrolled.json<{ node_key: string }>()
    const reply = await server.agent('/api/osquery/config', { node_key: nodeKey }, fault)
    expect([reply.status, reply.text[0]]).toEqual([200, '{'])
  })
})
