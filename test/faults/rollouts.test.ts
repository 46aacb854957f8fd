/** Rollouts while what they stand on is away: nothing moves, nothing moves twice, and it goes on afterwards. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startServer, type Reply, type TestServer } from '../support/harness.ts'
import { allPages, created, enrollHost, makeEnvironment } from '../support/operator.ts'

let server: TestServer
const NAME = 'fleet'
const PATH = `/environments/${NAME}/configuration`
const OFF = {
  cpu: null,
  memory: null,
  logVolume: null,
  checkInsLost: null,
  documentReceived: null,
  queryErrors: null,
}
const STEPS = [20, 40, 60, 80, 100].map((percent) => ({ percent, waitSeconds: 10 }))
const keys: string[] = []
let environmentId = ''
let rollout = ''
/** What the cron is told of time, in seconds from now on: steps last 10 s. */
let clockS = 0

beforeAll(async () => {
  server = await startServer({ entry: 'test/faults/entry.ts' })
  const { id, secret } = await makeEnvironment(server, NAME)
  environmentId = id
  for (let index = 0; index < 10; index += 1) keys.push(await enrollHost(server, `n-${index}`, { secret }))
}, 60_000)
afterAll(() => server.close())

let version = 0
beforeEach(async () => {
  await faults({})
  version += 1
  const document = { options: { distributed_interval: 10 + version } }
  const body = {
    document,
    layers: [],
    supersede: true,
    rollout: { steps: STEPS, gates: { ...OFF, denylisted: null } },
  }
  const applied = created<{ rollout: { id: string } }>(
    await server.operator('POST', `${PATH}/apply`, body),
    200,
  )
  rollout = applied.rollout.id
  clockS = 0
})

function faults(set: Record<string, string>): Promise<Reply> {
  return server.agent('/test/faults', set)
}

/** The cron, a step's time later. */
function cron(laterS = 11) {
  clockS += laterS
  const scheduledTime = new Date(Date.now() + clockS * 1_000)
  return server.worker.scheduled({ cron: '* * * * *', scheduledTime })
}

interface Shown {
  state: string
  step: number
  members: number
  gates: { gate: string; status: string }[]
}

async function shown(): Promise<Shown> {
  return created<Shown>(await server.operator('GET', `${PATH}/rollouts/${rollout}`), 200)
}

async function verbs(): Promise<string[]> {
  const audit = await allPages<{ action: string; subject: string }>(
    server,
    `/audit?environment=${environmentId}`,
    1_000,
  )
  return audit.flatMap(({ action, subject }) => (subject === rollout ? [action] : []))
}

describe('a rollout', () => {
  it('does not move while D1 or presence is away, and goes on afterwards', async () => {
    for (const binding of ['DB', 'PRESENCE']) {
      const { step } = await shown()
      await faults({ [binding]: 'throw' })
      await cron()
      await faults({})
      expect((await shown()).step).toBe(step)
      await cron()
      expect((await shown()).step).toBe(step + 1)
    }
  })

  it('makes one step of two crons at once, and of a cron and an operator', async () => {
    clockS = 11
    await Promise.all([cron(0), cron(0), cron(0)])
    expect(await shown()).toMatchObject({ step: 2, state: 'running' })
    expect((await verbs()).filter((verb) => verb === 'rollout.step')).toHaveLength(1)
    const advance = () => server.operator('POST', `${PATH}/rollouts/${rollout}/advance`)
    clockS = 22
    const [, one, two] = await Promise.all([cron(0), advance(), advance()])
    const { step } = await shown()
    // Who lost is told so; each step that was made is in the audit.
    const won = [one, two].filter(({ status }) => status === 200).length
    expect([one, two].every(({ status }) => status === 200 || status === 409)).toBe(true)
    expect((await verbs()).filter((verb) => verb === 'rollout.step')).toHaveLength(step - 1)
    expect(step - 2).toBeGreaterThanOrEqual(won)
  })

  it('makes no second step where the first was stored and nobody heard of it', async () => {
    await faults({ DB: 'lost' })
    await cron()
    await faults({})
    const { step } = await shown()
    await cron(0)
    expect((await shown()).step).toBe(step)
  })

  it('is served from the snapshot while D1 is away, and by an object that was evicted', async () => {
    created(await server.operator('POST', `${PATH}/rollouts/${rollout}/advance`), 200)
    await server.evict('ENVIRONMENT', { name: environmentId })
    await faults({ DB: 'throw' })
    const texts = new Set<string>()
    await server.until(async () => {
      texts.clear()
      for (const key of keys) texts.add((await server.agent('/api/osquery/config', { node_key: key })).text)
      return [...texts].some((text) => text.includes(`"distributed_interval":${10 + version}`))
    }, 12_000)
    // Members and others.
    expect(texts.size).toBeGreaterThan(1)
  })

  it('holds where costs do not say, and nobody is halted for it', async () => {
    const document = { options: { distributed_interval: 99 } }
    const body = { document, layers: [], supersede: true, rollout: { steps: STEPS, gates: OFF } }
    const applied = created<{ rollout: { id: string } }>(
      await server.operator('POST', `${PATH}/apply`, body),
      200,
    )
    rollout = applied.rollout.id
    await faults({ COSTS: 'throw' })
    await cron()
    expect(await shown()).toMatchObject({ state: 'waiting', step: 1 })
    expect((await shown()).gates).toContainEqual(
      expect.objectContaining({ gate: 'denylisted', status: 'unknown' }),
    )
  })

  it('costs a poll nothing: no storage, no object', async () => {
    await server.until(async () => {
      const reply = await server.agent('/api/osquery/config', { node_key: keys[0] })
      const calls = JSON.parse(reply.headers.get('x-test-calls') ?? '{}') as Record<string, number>
      const others = Object.keys(calls).filter((call) => !/^(ENVIRONMENT\.head|PRESENCE\.)/.test(call))
      return others.length === 0 && calls['ENVIRONMENT.head'] === undefined
    }, 12_000)
  })
})
