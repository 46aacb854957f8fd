import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeNodeKey } from '../../src/agent/node-key.ts'
import { loadSigningKeys } from '../../src/agent/signing-keys.ts'
import {
  ORDINALS_PER_OBJECT,
  PRESENCE_KINDS,
  presenceStub,
  type PresenceKind,
  type Sighting,
} from '../../src/presence/kinds.ts'
import { lastSeenOf, lastSignMs } from '../../src/presence/read.ts'
import { SIGNING_KEYS, startServer, type TestServer } from '../support/harness.ts'
import { enrollHost, makeEnvironment } from '../support/operator.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

const NEVER = { enroll: 0, config: 0, log: 0, read: 0, write: 0, carve: 0 }
const nowS = () => Math.floor(Date.now() / 1_000)

function seen(ordinal: number, kind: PresenceKind, atS: number, configurationVersion = 0): Sighting {
  return { ordinal, kind, atS, configurationVersion }
}

/** The key of a node of an environment that no request came from yet: its first sighting is flushed at once. */
async function firstNodeOf(
  name: string,
  ordinal: number,
): Promise<{ environmentId: string; nodeKey: string }> {
  const { id: environmentId } = await makeEnvironment(server, name)
  const nodeKey = await makeNodeKey(await loadSigningKeys(SIGNING_KEYS), {
    environmentId,
    nodeId: crypto.randomUUID(),
    ordinal,
    platformFamily: 'linux',
    splayBucket: 0,
    issuedAtS: nowS(),
  })
  return { environmentId, nodeKey }
}

describe('a request', () => {
  it.each<[PresenceKind, string, object]>([
    ['config', 'config', {}],
    ['log', 'log', { log_type: 'status', data: [] }],
    ['read', 'distributed/read', {}],
    ['write', 'distributed/write', { queries: {} }],
    [
      'carve',
      'carve/begin',
      { block_count: 1, block_size: 4_096, carve_size: 10, carve_id: 'f0e1d2c3', request_id: 'r' },
    ],
  ])('of kind %s is seen at once, under its node and kind alone', async (kind, path, body) => {
    const { environmentId, nodeKey } = await firstNodeOf(`first-${kind}`, 70_001)
    const reply = await server.agent(`/api/osquery/${path}`, { ...body, node_key: nodeKey })
    expect(reply.status).toBe(200)
    const found = await server.until(async () => {
      const last = (await lastSeenOf(server.env, environmentId, [70_001])).get(70_001)
      return last !== undefined && Object.values(last.atS).some((atS) => atS > 0) ? last : null
    })
    expect({ ...found.atS, [kind]: 0 }).toEqual(NEVER)
    expect(Math.abs(found.atS[kind] - nowS())).toBeLessThan(60)
    expect(found.configurationVersion).toBe(kind === 'config' ? 1 : 0)
  })

  it('that is refused is no sighting', async () => {
    const { environmentId, nodeKey } = await firstNodeOf('refused', 3)
    for (const path of ['config', 'distributed/read', 'distributed/write', 'log'])
      await server.agent(`/api/osquery/${path}`, { node_key: `${nodeKey.slice(0, -4)}AAAA` })
    const last = (await lastSeenOf(server.env, environmentId, [3])).get(3)
    expect(last).toEqual({ ordinal: 3, atS: NEVER, configurationVersion: 0 })
  })
})

describe('an eviction', () => {
  it('loses nothing that a quiet object was told', async () => {
    const { id, secret } = await makeEnvironment(server, 'evicted')
    const name = `${id}/0`
    await enrollHost(server, 'evicted', { secret })
    // Through its storage, because an object is not evicted while the test holds a stub of it.
    const storage = await server.worker.getDurableObjectStorage('PRESENCE', { name })
    await server.until(async () => (await storage.exec('SELECT chunk FROM chunks')).length > 0)
    await server.evict('PRESENCE', { name })
    const last = (await lastSeenOf(server.env, id, [0])).get(0)
    expect(Math.abs((last?.atS.enroll ?? 0) - nowS())).toBeLessThan(60)

    // What it is told next is a first flush again, and is written although the chunk was a moment ago.
    await presenceStub(server.env, id, 1).flush([seen(1, 'read', 77)], {})
    const [row] = (await storage.exec('SELECT hex(substr(bytes, 33, 32)) AS hex FROM chunks')) as {
      hex: string
    }[]
    expect(Number.parseInt(row?.hex.slice(24, 32) ?? '', 16)).toBe(77)
  })
})

describe('the Presence object', () => {
  const stub = (environmentId: string, ordinal = 0) => presenceStub(server.env, environmentId, ordinal)

  it('keeps every kind of every ordinal that it was told, over all its chunks', async () => {
    const id = crypto.randomUUID()
    const ordinals = [0, 4_095, 4_096, ORDINALS_PER_OBJECT - 1]
    const told = ordinals.flatMap((ordinal) =>
      PRESENCE_KINDS.map((kind, index) => seen(ordinal, kind, 1_000 * index + 7, 4)),
    )
    await stub(id).flush(told, {})
    const atS = { enroll: 7, config: 1_007, log: 2_007, read: 3_007, write: 4_007, carve: 5_007 }
    expect(await stub(id).lastSeen([...ordinals, 5])).toEqual([
      ...ordinals.map((ordinal) => ({ ordinal, atS, configurationVersion: 4 })),
      { ordinal: 5, atS: NEVER, configurationVersion: 0 },
    ])
  })

  it('never lets an older flush of another isolate replace a newer one', async () => {
    const id = crypto.randomUUID()
    await stub(id).flush([seen(1, 'read', 50)], {})
    await stub(id).flush([seen(1, 'read', 40), seen(1, 'log', 45)], {})
    expect((await stub(id).lastSeen([1]))[0]?.atS).toEqual({ ...NEVER, read: 50, log: 45 })
  })

  it('sums up what isolates counted', async () => {
    const id = crypto.randomUUID()
    await stub(id).flush([], { 'two-valid-keys': 1, 'answer-foreign': 5 })
    await stub(id).flush([], { 'answer-foreign': 2 })
    expect(await stub(id).counters()).toEqual({ 'two-valid-keys': 1, 'answer-foreign': 7 })
  })

  it('writes a chunk through once a minute under load, not at each flush', async () => {
    const id = crypto.randomUUID()
    const name = `${id}/0`
    const stored = async () => {
      const storage = await server.worker.getDurableObjectStorage('PRESENCE', { name })
      const [row] = await storage.exec<{ hex: string }>('SELECT hex(substr(bytes, 1, 32)) AS hex FROM chunks')
      return Number.parseInt(row?.hex.slice(24, 32) ?? '', 16)
    }
    await stub(id).flush([seen(0, 'read', 100)], {})
    expect(await stored()).toBe(100)
    for (const atS of [101, 102, 103]) await stub(id).flush([seen(0, 'read', atS)], {})
    expect(await stored()).toBe(100)
    expect((await stub(id).lastSeen([0]))[0]?.atS.read).toBe(103)
  })

  it('is one for 65,536 ordinals of one environment', async () => {
    const [one, other] = [crypto.randomUUID(), crypto.randomUUID()]
    await stub(one, 9).flush([seen(9, 'log', 11)], {})
    await stub(one, ORDINALS_PER_OBJECT + 9).flush([seen(ORDINALS_PER_OBJECT + 9, 'log', 22)], {})
    const logTimes = async (id: string) => {
      const last = await lastSeenOf(server.env, id, [9, ORDINALS_PER_OBJECT + 9, 10])
      return Object.fromEntries([...last].map(([ordinal, { atS }]) => [ordinal, atS.log]))
    }
    expect(await logTimes(one)).toEqual({ 9: 11, 10: 0, [ORDINALS_PER_OBJECT + 9]: 22 })
    expect(await logTimes(other)).toEqual({ 9: 0, 10: 0, [ORDINALS_PER_OBJECT + 9]: 0 })
  })
})

describe('the last sign of life', () => {
  const seen = { ordinal: 1, atS: { ...NEVER, log: 5, write: 9, read: 7 }, configurationVersion: 0 }

  it('is the newest sighting of any kind, or the enrolment', () => {
    expect(lastSignMs(seen, 1_000, 10_000)).toBe(9_000)
    expect(lastSignMs(seen, 9_500, 10_000)).toBe(9_500)
    expect(lastSignMs(undefined, 1_000, 10_000)).toBe(1_000)
  })

  it('is none that is still to come: the clock that noted it was wrong', () => {
    const hourMs = 3_600_000
    expect(lastSignMs(seen, hourMs, 10_000)).toBe(9_000)
    expect(lastSignMs({ ...seen, atS: { ...seen.atS, carve: 3_600 } }, 1_000, 10_000)).toBe(9_000)
    expect(lastSignMs(undefined, hourMs, 10_000)).toBe(10_000)
  })
})
