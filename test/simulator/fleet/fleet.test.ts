/** A small fleet on a server that misbehaves: what agents would suffer is seen. */
import { describe, onTestFinished, test } from 'vitest'
import type { Fleet, FleetOptions } from '../../../src/simulator/fleet/fleet.ts'
import { startFleet } from '../../../src/simulator/fleet/fleet.ts'
import { PROFILES, configurationOf } from '../../../src/simulator/fleet/profiles.ts'
import type { Suffering } from '../../../src/simulator/fleet/report.ts'
import { sufferingOf } from '../../../src/simulator/fleet/report.ts'
import type { ScriptedReply, ScriptedServer } from '../scripted-server.ts'
import { BASE, startScriptedServer } from '../scripted-server.ts'

const TEMPO = 60
const CALM = { ...PROFILES.servers, crashChance: 0, lostReplyChance: 0 }

interface Stage {
  readonly server: ScriptedServer
  readonly start: (options?: Partial<FleetOptions>) => Fleet
  /** What five members suffer when a path is always answered so. */
  readonly suffered: (path: string, reply: ScriptedReply, runMs?: number) => Promise<Suffering>
}

/** A server of the test's own, so that tests run side by side: most of their time is waiting. */
async function stage(): Promise<Stage> {
  const server = await startScriptedServer()
  onTestFinished(() => server.close())
  server.on.set(`${BASE}/config`, () => ({ json: configurationOf(CALM, TEMPO) }))
  const start = (options: Partial<FleetOptions> = {}) =>
    startFleet({
      url: server.url,
      enrollSecret: 's3cr3t',
      profile: CALM,
      nodes: 20,
      seed: 'test',
      runMs: 2_000,
      spreadMs: 200,
      tempo: TEMPO,
      keepAlive: false,
      ...options,
    })
  return {
    server,
    start,
    suffered: async (path, reply, runMs = 2_000) => {
      server.on.set(BASE + path, () => reply)
      const fleet = start({ nodes: 5, runMs })
      await fleet.ended
      return sufferingOf(fleet)
    },
  }
}

describe.concurrent('a fleet', () => {
  test('speaks on every loop, and knows what was acknowledged', async ({ expect }) => {
    const { server, start } = await stage()
    const one = start()
    await one.ended
    const { counters, enrolled } = one.statistics
    expect(enrolled).toBe(20)
    expect(server.requests(`${BASE}/enroll`).length).toBeGreaterThanOrEqual(20)
    // How often each member came round in the time depends on how busy the machine is.
    for (const path of ['/config', '/log', '/distributed/read'])
      expect(server.requests(BASE + path).length).toBeGreaterThan(0)
    expect(counters.lines.acknowledged).toBeGreaterThan(0)
    // Requests that were under way at the end may have been taken or not.
    expect(one.lines.tally().due).toBeLessThanOrEqual(counters.lines.sent)
    expect(one.lines.tally().due).toBeGreaterThan(0)
    expect(Object.values(sufferingOf(one)).every((times) => times === 0)).toBe(true)
  })

  test('speaks as old releases, compresses and resends, as its members are', async ({ expect }) => {
    const { server, start } = await stage()
    const one = start({ profile: { ...CALM, lostReplyChance: 0.2, versions: { '2.11.2': 1, '5.23.1': 1 } } })
    await one.ended
    const versions = new Set(server.seen.map(({ headers }) => headers['user-agent']))
    expect(versions).toContain('osquery/2.11.2')
    expect(versions).toContain('osquery/5.23.1')
    const logs = server.requests(`${BASE}/log`)
    expect(new Set(logs.map(({ headers }) => headers['content-encoding']))).toEqual(
      new Set([undefined, 'gzip']),
    )
    expect(logs.some(({ headers }) => headers.authorization?.startsWith('NodeKey '))).toBe(true)
    expect(one.transport.lostReplies).toBeGreaterThan(10)
    const twice = logs.filter(({ text }, i) => logs.findIndex((other) => other.text === text) < i)
    expect(twice.length).toBeGreaterThan(0)
  })

  test('dies in queries and goes on with what was on its disk', async ({ expect }) => {
    const { server, start } = await stage()
    server.on.set(`${BASE}/distributed/read`, () => ({ json: { queries: { q1: 'SELECT 1 AS one -- 1' } } }))
    const one = start({ profile: { ...CALM, crashChance: 1 }, nodes: 10, runMs: 4_500 })
    await one.ended
    expect(one.statistics.killed).toBeGreaterThanOrEqual(10)
    // Started again they find the query's mark, and since 5.5.0 they say so instead of dying once more.
    const messages = server.requests(`${BASE}/distributed/write`).map(({ body }) => body.messages)
    expect(messages.length).toBeGreaterThan(0)
    expect(new Set(messages.map((message) => JSON.stringify(message)))).toEqual(
      new Set(['{"q1":"distributed query is denylisted"}']),
    )
    // Same node: nobody enrolled a second time.
    expect(server.requests(`${BASE}/enroll`)).toHaveLength(10)
  })

  test('sleeps and wakes', async ({ expect }) => {
    const { start } = await stage()
    const sleeps = { awake: [20, 40], asleep: [10, 20] } as const
    const one = start({ profile: { ...CALM, sleeps }, nodes: 10, runMs: 3_000 })
    await one.ended
    expect(one.statistics.naps).toBeGreaterThan(10)
  })

  test('storms: polls begin together, when all have enrolled', async ({ expect }) => {
    const { server, start } = await stage()
    const one = start({ profile: { ...CALM, isStorm: true }, runMs: 1_500 })
    await one.ended
    const paths = server.seen.map(({ path }) => path)
    expect(paths.slice(0, 20)).toEqual(Array.from({ length: 20 }, () => `${BASE}/enroll`))
    expect(paths.lastIndexOf(`${BASE}/enroll`)).toBeLessThan(paths.indexOf(`${BASE}/config`))
  })
})

describe.concurrent('a server that', () => {
  test('fails with an empty body makes agents forget', async ({ expect }) => {
    const { suffered } = await stage()
    expect((await suffered('/log', { raw: '', status: 500 })).failuresTakenForSuccess).toBeGreaterThan(0)
  })
  test('says retry harms nobody', async ({ expect }) => {
    const { suffered } = await stage()
    const pains = await suffered('/distributed/read', { raw: 'retry', status: 503 })
    expect(Object.values(pains).filter((times) => times !== 0)).toEqual([])
  })
  test('answers a text crashes agents', async ({ expect }) => {
    const { suffered } = await stage()
    expect((await suffered('/distributed/read', { json: 'ok' })).crashed).toBeGreaterThan(0)
  })
  test('answers {} for a configuration wipes schedules', async ({ expect }) => {
    const { server, start } = await stage()
    let asked = 0
    server.on.set(`${BASE}/config`, () => {
      asked += 1
      return { json: asked <= 5 ? configurationOf(CALM, TEMPO) : {} }
    })
    const one = start({ nodes: 5, runMs: 7_000 })
    await one.ended
    expect(sufferingOf(one).schedulesWiped).toBeGreaterThan(0)
  })
  test('refuses writes for ever wedges agents', async ({ expect }) => {
    const { server, suffered } = await stage()
    server.on.set(`${BASE}/distributed/read`, () => ({ json: { queries: { q1: 'SELECT 1 AS one' } } }))
    expect((await suffered('/distributed/write', { raw: 'too large', status: 413 }, 9_000)).wedged).toBe(5)
  })
})
