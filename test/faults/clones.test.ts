/** Splitting clones while something is away, and what a storm of enrolls costs. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { FREE_ENROLLS } from '../../src/agent/enroll-damper.ts'
import { makeNodeKey } from '../../src/agent/node-key.ts'
import { loadSigningKeys } from '../../src/agent/signing-keys.ts'
import { upsertNode } from '../../src/db/node-upsert.ts'
import { describeHost } from '../../src/fleet/identity.ts'
import { presenceStub, type RideAlong } from '../../src/presence/kinds.ts'
import { ENROLL_SECRET, SIGNING_KEYS, startServer, type TestServer } from '../support/harness.ts'
import { makeEnvironment } from '../support/operator.ts'

const NODE_INVALID = '{"node_invalid":true}'
const NOW_S = Math.floor(Date.now() / 1_000)
/** Two keys of one node, and when both were seen. */
const OLDER_S = NOW_S - 3_600
const NEWER_S = NOW_S - 1_800

let server: TestServer
beforeAll(async () => {
  server = await startServer({ entry: 'test/faults/entry.ts' })
})
afterAll(() => server.close())

function setFaults(faults: Record<string, string>) {
  return server.agent('/test/faults', faults)
}

let environmentId = ''
let name = ''
let environments = 0
/** A node that two machines enrolled as, an hour ago and half an hour ago. */
beforeEach(async () => {
  environments += 1
  name = `faulty-clones-${environments}`
  environmentId = (await makeEnvironment(server, name)).id
  // Past presence, which would note the time of today.
  for (const [instance_id, enrolledAtS] of [
    ['a', OLDER_S],
    ['b', NEWER_S],
  ] as const) {
    const host = describeHost('box', '9', { system_info: { uuid: 'u' }, osquery_info: { instance_id } })
    const secret = { hash: '', environmentId }
    await upsertNode(server.env.DB, { environmentId, host, secret, nowMs: enrolledAtS * 1_000 })
  }
})

const ride = (keyIssuedAtS: number, atS: number): RideAlong => ({
  ordinal: 0,
  atS,
  osqueryVersion: '',
  ip: '',
  keyIssuedAtS,
})
const TURNS = [
  ride(NEWER_S, NEWER_S + 1),
  ride(OLDER_S, NEWER_S + 100),
  ride(NEWER_S, NEWER_S + 110),
  ride(OLDER_S, NEWER_S + 160),
]

function flush(rides: readonly RideAlong[]) {
  return presenceStub(server.env, environmentId, 0).flush([], {}, rides)
}

async function node() {
  const sql = `SELECT id, clones, split_by AS splitBy, split_count AS splitCount, key_minimum_s AS keyMinimumS
    FROM nodes WHERE environment_id = ?1 AND ordinal = 0`
  const row = await server.env.DB.prepare(sql)
    .bind(environmentId)
    .first<{ id: string; clones: string | null; splitBy: string; splitCount: number; keyMinimumS: number }>()
  if (row === null) throw new Error('there is no node')
  return row
}

async function keyOf(issuedAtS: number): Promise<string> {
  return makeNodeKey(await loadSigningKeys(SIGNING_KEYS), {
    environmentId,
    nodeId: (await node()).id,
    ordinal: 0,
    platformFamily: 'linux',
    splayBucket: 0,
    issuedAtS,
  })
}

async function split(): Promise<void> {
  await flush(TURNS)
  await server.until(async () => (await node()).clones === 'split')
}

describe('a node that was split', () => {
  it('refuses the older key where that asks for something, and takes what it brings', async () => {
    await split()
    const [older, newer] = [await keyOf(OLDER_S), await keyOf(NEWER_S)]
    const ask = async (path: string, key: string, body: object = {}) =>
      (await server.agent(`/api/osquery/${path}`, { node_key: key, ...body })).text
    await server.until(async () => (await ask('config', older)) === NODE_INVALID)
    for (const [path, body] of [
      ['config', {}],
      ['distributed/read', {}],
      ['log', { log_type: 'result', data: [{ name: 'x', action: 'added', columns: {} }] }],
    ] as const) {
      expect([path, await ask(path, older, body)]).toEqual([path, NODE_INVALID])
      expect([path, await ask(path, newer, body)]).not.toEqual([path, NODE_INVALID])
    }
    expect(await ask('distributed/write', older, { queries: {}, statuses: {} })).toBe('{}')
    const carve = { carve_id: 'c', request_id: 'r', block_count: 1, block_size: 4_096, carve_size: 10 }
    expect(await ask('carve/begin', older, carve)).toContain('session_id')
  })

  it('is split by what it was told once: the same turns again are nothing new', async () => {
    await split()
    await flush(TURNS)
    await flush(TURNS.map((turn) => ({ ...turn, atS: turn.atS + 300 })))
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(await node()).toMatchObject({ splitBy: 'instance', splitCount: 1, keyMinimumS: NEWER_S })
    const audit = await server.operator('GET', `/audit?environment=${name}`)
    const actions = audit.json<{ items: { action: string; actor: string }[] }>().items
    expect(actions.filter(({ action }) => action === 'node.split-clones')).toEqual([
      expect.objectContaining({ actor: 'system' }),
    ])
  })

  it('is split later where D1 is away', async () => {
    await setFaults({ DB: 'throw' })
    try {
      await flush(TURNS)
      await new Promise((resolve) => setTimeout(resolve, 200))
    } finally {
      await setFaults({})
    }
    expect((await node()).clones).toBeNull()
    // Whatever comes next: both machines go on polling.
    await flush([ride(NEWER_S, NEWER_S + 170)])
    await server.until(async () => (await node()).clones === 'split')
  })

  it('goes on with both keys where the environment only flags, and says so once', async () => {
    await server.operator('PATCH', `/environments/${name}/identity`, { clones: 'flag' })
    await flush(TURNS)
    await server.until(async () => (await node()).clones === 'flagged')
    await flush(TURNS.map((turn) => ({ ...turn, atS: turn.atS + 300 })))
    expect((await server.agent('/api/osquery/config', { node_key: await keyOf(OLDER_S) })).text).not.toBe(
      NODE_INVALID,
    )
    const audit = await server.operator('GET', `/audit?environment=${name}`)
    const actions = audit.json<{ items: { action: string }[] }>().items.map(({ action }) => action)
    expect(actions.filter((action) => action.startsWith('node.'))).toEqual(['node.flag-clones'])
  })

  it('is only flagged where a machine could not enroll again', async () => {
    await server.env.DB.prepare('UPDATE nodes SET other_secret_id = ?2 WHERE environment_id = ?1')
      .bind(environmentId, crypto.randomUUID())
      .run()
    await flush(TURNS)
    await server.until(async () => (await node()).clones === 'flagged')
    expect((await node()).keyMinimumS).toBe(0)
  })
})

describe('a host that enrolls every moment', () => {
  const body = {
    enroll_secret: ENROLL_SECRET,
    host_identifier: 'storm',
    host_details: { system_info: { uuid: 'storm-uuid' }, osquery_info: { instance_id: 'storm-instance' } },
  }

  async function enroll(changed: object = {}) {
    const reply = await server.agent('/api/osquery/enroll', { ...body, ...changed })
    const calls = JSON.parse(reply.headers.get('x-test-calls') ?? '{}') as Record<string, number>
    return { text: reply.text, statements: calls['DB.first'] ?? 0 }
  }

  it('costs D1 a few statements, always has a valid key, and is counted', async () => {
    const replies = []
    for (let time = 0; time < 40; time += 1) replies.push(await enroll())
    expect(replies.reduce((sum, { statements }) => sum + statements, 0)).toBe(FREE_ENROLLS)
    expect(replies.every(({ text }) => text.startsWith('{"node_key"'))).toBe(true)
    const { node_key: key } = JSON.parse(replies.at(-1)?.text ?? '{}') as { node_key: string }
    expect((await server.agent('/api/osquery/config', { node_key: key })).text).toContain('schedule')
    // What it tells anew is told to D1, with what was not told before.
    await enroll({ platform_type: '9' })
    await server.until(async () => {
      const { counters } = (await server.operator('GET', '/environments/default')).json<{
        counters: Record<string, number>
      }>()
      return counters['enroll-damped'] === 40 - FREE_ENROLLS
    })
  })

  it('gets a new node at once where its node was deleted meanwhile', async () => {
    for (let time = 0; time < 10; time += 1) await enroll()
    const found = await server.operator('GET', '/environments/default/nodes?q=storm')
    const [old] = found.json<{ items: { id: string }[] }>().items
    await server.operator('DELETE', `/environments/default/nodes/${old?.id}`)
    const key = await server.until(async () => {
      const { node_key: given } = JSON.parse((await enroll()).text) as { node_key: string }
      const reply = await server.agent('/api/osquery/config', { node_key: given })
      const listed = await server.operator('GET', '/environments/default/nodes?q=storm')
      const [item] = listed.json<{ items: { id: string }[] }>().items
      return reply.text !== NODE_INVALID && item !== undefined && item.id !== old?.id ? given : null
    })
    expect(key).toMatch(/^oen1-/)
  })
})
