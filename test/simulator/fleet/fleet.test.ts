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
const LONGEST_RUN_MS = 90_000
const CALM = { ...PROFILES.servers, crashChance: 0, lostReplyChance: 0 }

interface Stage {
  readonly server: ScriptedServer
  /** Runs a fleet until it has done enough, however busy the machine is. */
  readonly run: (isEnough: (fleet: Fleet) => boolean, options?: Partial<FleetOptions>) => Promise<Fleet>
  /** What five members suffer when a path is always answered so. */
  readonly suffered: (
    path: string,
    reply: ScriptedReply,
    isEnough: (suffering: Suffering) => boolean,
  ) => Promise<Suffering>
}

/** A server of the test's own, so that tests run side by side: most of their time is waiting. */
async function stage(): Promise<Stage> {
  const server = await startScriptedServer()
  onTestFinished(() => server.close())
  server.on.set(`${BASE}/config`, () => ({ json: configurationOf(CALM, TEMPO) }))
  const run: Stage['run'] = async (isEnough, options = {}) => {
    const enough = new AbortController()
    const fleet = startFleet({
      url: server.url,
      enrollSecret: 's3cr3t',
      profile: CALM,
      nodes: 20,
      seed: 'test',
      runMs: LONGEST_RUN_MS,
      stop: enough.signal,
      spreadMs: 200,
      tempo: TEMPO,
      keepAlive: false,
      ...options,
    })
    const watching = setInterval(() => {
      if (isEnough(fleet)) enough.abort()
    }, 50)
    await fleet.ended
    clearInterval(watching)
    return fleet
  }
  return {
    server,
    run,
    suffered: async (path, reply, isEnough) => {
      server.on.set(BASE + path, () => reply)
      return sufferingOf(await run((fleet) => isEnough(sufferingOf(fleet)), { nodes: 5 }))
    },
  }
}

describe.concurrent('a fleet', () => {
  test('speaks on every loop, and knows what was acknowledged', async ({ expect }) => {
    const { server, run } = await stage()
    const paths = ['/config', '/log', '/distributed/read'].map((path) => BASE + path)
    const one = await run(
      ({ lines, statistics }) =>
        statistics.enrolled === 20 &&
        paths.every((path) => server.requests(path).length > 0) &&
        lines.tally().due > 0,
    )
    const { counters, enrolled } = one.statistics
    expect(enrolled).toBe(20)
    expect(server.requests(`${BASE}/enroll`).length).toBeGreaterThanOrEqual(20)
    for (const path of paths) expect(server.requests(path).length).toBeGreaterThan(0)
    expect(counters.lines.acknowledged).toBeGreaterThan(0)
    // Requests that were under way at the end may have been taken or not.
    expect(one.lines.tally().due).toBeLessThanOrEqual(counters.lines.sent)
    expect(one.lines.tally().due).toBeGreaterThan(0)
    expect(Object.values(sufferingOf(one)).every((times) => times === 0)).toBe(true)
  })

  test('speaks as old releases, compresses and resends, as its members are', async ({ expect }) => {
    const { server, run } = await stage()
    const profile = { ...CALM, lostReplyChance: 0.2, versions: { '2.11.2': 1, '5.23.1': 1 } }
    const encodings = () =>
      new Set(server.requests(`${BASE}/log`).map(({ headers }) => headers['content-encoding']))
    const resent = () => {
      const texts = server.requests(`${BASE}/log`).map(({ text }) => text)
      return texts.length - new Set(texts).size
    }
    const one = await run(
      ({ transport }) => transport.lostReplies > 10 && encodings().size === 2 && resent() > 0,
      { profile },
    )
    const versions = new Set(server.seen.map(({ headers }) => headers['user-agent']))
    expect(versions).toContain('osquery/2.11.2')
    expect(versions).toContain('osquery/5.23.1')
    const logs = server.requests(`${BASE}/log`)
    expect(encodings()).toEqual(new Set([undefined, 'gzip']))
    expect(logs.some(({ headers }) => headers.authorization?.startsWith('NodeKey '))).toBe(true)
    expect(one.transport.lostReplies).toBeGreaterThan(10)
    expect(resent()).toBeGreaterThan(0)
  })

  test('dies in queries and goes on with what was on its disk', async ({ expect }) => {
    const { server, run } = await stage()
    server.on.set(`${BASE}/distributed/read`, () => ({ json: { queries: { q1: 'SELECT 1 AS one -- 1' } } }))
    const one = await run(
      ({ statistics }) => statistics.killed >= 10 && server.requests(`${BASE}/distributed/write`).length > 0,
      { profile: { ...CALM, crashChance: 1 }, nodes: 10 },
    )
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
    const { run } = await stage()
    const sleeps = { awake: [20, 40], asleep: [10, 20] } as const
    const one = await run(({ statistics }) => statistics.naps > 10, {
      profile: { ...CALM, sleeps },
      nodes: 10,
    })
    expect(one.statistics.naps).toBeGreaterThan(10)
  })

  test('storms: polls begin together, when all have enrolled', async ({ expect }) => {
    const { server, run } = await stage()
    await run(() => server.requests(`${BASE}/config`).length > 0, { profile: { ...CALM, isStorm: true } })
    const paths = server.seen.map(({ path }) => path)
    expect(paths.slice(0, 20)).toEqual(Array.from({ length: 20 }, () => `${BASE}/enroll`))
    expect(paths.lastIndexOf(`${BASE}/enroll`)).toBeLessThan(paths.indexOf(`${BASE}/config`))
  })
})

describe.concurrent('a server that', () => {
  test('fails with an empty body makes agents forget', async ({ expect }) => {
    const { suffered } = await stage()
    const forgot = ({ failuresTakenForSuccess }: Suffering) => failuresTakenForSuccess > 0
    expect(forgot(await suffered('/log', { raw: '', status: 500 }, forgot))).toBe(true)
  })
  test('says retry harms nobody', async ({ expect }) => {
    const { server, suffered } = await stage()
    const hasAsked = () => server.requests(`${BASE}/distributed/read`).length > 10
    const pains = await suffered('/distributed/read', { raw: 'retry', status: 503 }, hasAsked)
    expect(Object.values(pains).filter((times) => times !== 0)).toEqual([])
  })
  test('answers a text crashes agents', async ({ expect }) => {
    const { suffered } = await stage()
    const hasCrashed = ({ crashed }: Suffering) => crashed > 0
    expect(hasCrashed(await suffered('/distributed/read', { json: 'ok' }, hasCrashed))).toBe(true)
  })
  test('answers {} for a configuration wipes schedules', async ({ expect }) => {
    const { server, run } = await stage()
    let asked = 0
    server.on.set(`${BASE}/config`, () => {
      asked += 1
      return { json: asked <= 5 ? configurationOf(CALM, TEMPO) : {} }
    })
    const one = await run((fleet) => sufferingOf(fleet).schedulesWiped > 0, { nodes: 5 })
    expect(sufferingOf(one).schedulesWiped).toBeGreaterThan(0)
  })
  test('refuses writes for ever wedges agents', async ({ expect }) => {
    const { server, suffered } = await stage()
    server.on.set(`${BASE}/distributed/read`, () => ({ json: { queries: { q1: 'SELECT 1 AS one' } } }))
    const areWedged = ({ wedged }: Suffering) => wedged === 5
    const reply = { raw: 'too large', status: 413 }
    expect(areWedged(await suffered('/distributed/write', reply, areWedged))).toBe(true)
  })
})
