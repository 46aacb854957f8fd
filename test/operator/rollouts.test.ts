import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer, type TestServer } from '../support/harness.ts'
import { created, enrollHost, makeEnvironment } from '../support/operator.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
}, 30_000)
afterAll(() => server.close())

interface Rollout {
  id: string
  version: number
  stableVersion: number
  state: string
  step: number
  members: number
  served: boolean
  gates: { gate: string; status: string; detail: string }[]
  reason: { by: string; detail: string } | null
  clearing: boolean
  endedAt: string | null
  live: boolean
}

const NO_GATES = {
  documentReceived: null,
  denylisted: null,
  queryErrors: null,
  checkInsLost: null,
  cpu: null,
  memory: null,
  logVolume: null,
}
const STABLE = {
  options: { distributed_interval: 10 },
  schedule: { up: { query: 'SELECT 1', interval: 60 } },
}
const CANDIDATE = {
  options: { distributed_interval: 10, logger_tls_max_lines: 99 },
  schedule: { up: { query: 'SELECT 1', interval: 60 }, poison: { query: 'SELECT 2', interval: 60 } },
}

/** An environment of its own with nodes a, b, c …, without what the server schedules by itself. */
async function fleet(name: string, nodes: number) {
  const { id, secret } = await makeEnvironment(server, name)
  const path = `/environments/${name}/configuration`
  created(await server.operator('PUT', path, STABLE), 200)
  const keys: string[] = []
  for (let index = 0; index < nodes; index += 1)
    keys.push(await enrollHost(server, `${name}-${index}`, { secret }))
  const served = async (index: number) =>
    (await server.agent('/api/osquery/config', { node_key: keys[index] })).text
  const apply = (document: object, rollout?: object, more: object = {}) =>
    server.operator('POST', `${path}/apply`, { document, layers: [], rollout, ...more })
  const move = async (rollout: string, kind: string) =>
    server.operator('POST', `${path}/rollouts/${rollout}/${kind}`)
  const shown = async (rollout: string) =>
    created<Rollout>(await server.operator('GET', `${path}/rollouts/${rollout}`), 200)
  /** The cron, some seconds from now. */
  const cron = (inS = 0) =>
    server.worker.scheduled({ cron: '* * * * *', scheduledTime: new Date(Date.now() + inS * 1_000) })
  const start = async (document: object, rollout: object) => {
    const { rollout: row } = created<{ rollout: Rollout }>(await apply(document, rollout), 200)
    return row
  }
  return { id, secret, path, served, apply, move, shown, cron, start }
}

/** Until a node is served what fits. */
async function until(served: () => Promise<string>, fits: (text: string) => boolean): Promise<string> {
  let last = ''
  await server
    .until(async () => fits((last = await served())), 12_000)
    .catch(() => expect(last).toBe('what fits'))
  return last
}

const hostnames = (name: string, ...indexes: number[]) => ({
  hostnames: indexes.map((index) => `${name}-${index}`),
})

describe('a rollout', () => {
  it('gives its version to members alone; others keep their very bytes', async () => {
    const { served, start, shown, id: environmentId } = await fleet('members', 3)
    const before = await served(0)
    const rollout = await start(CANDIDATE, { canary: hostnames('members', 1), gates: NO_GATES })
    expect(rollout).toMatchObject({ state: 'running', step: 1, version: 3, stableVersion: 2, served: true })
    await until(
      () => served(1),
      (text) => text.includes('poison'),
    )
    expect(await served(0)).toBe(before)
    expect(await served(2)).toBe(before)
    expect(await shown(rollout.id)).toMatchObject({ members: 1 })
    // What operators read as the configuration is what all others get.
    const present = await server.operator('GET', '/environments/members/configuration')
    expect(present.headers.get('x-configuration-version')).toBe('2')
    expect(environmentId).not.toBe('')
  })

  it('goes on by the clock when its gates are good, and ends with all nodes', async () => {
    const { served, start, shown, cron, path } = await fleet('steps', 4)
    const steps = [
      { percent: 60, waitSeconds: 60 },
      { percent: 100, waitSeconds: 60 },
    ]
    const { id } = await start(CANDIDATE, { canary: hostnames('steps', 0), steps, gates: NO_GATES })
    await cron(30)
    expect(await shown(id)).toMatchObject({ state: 'running', step: 1 })
    await cron(61)
    const second = await shown(id)
    expect(second).toMatchObject({ state: 'running', step: 2 })
    expect(second.members).toBeGreaterThanOrEqual(1)
    await cron(200)
    expect(await shown(id)).toMatchObject({ state: 'running', step: 3, members: 4 })
    const document = await until(
      () => served(3),
      (text) => text.includes('poison'),
    )
    await cron(400)
    expect(await shown(id)).toMatchObject({ state: 'complete', served: true })
    const present = await server.operator('GET', path)
    expect(present.headers.get('x-configuration-version')).toBe('3')
    // Members told their costs more often while it ran; now all get what was written, and what it clears.
    await until(
      () => served(3),
      (text) => text !== document,
    )
    for (const node of [0, 1, 2, 3])
      await until(
        () => served(node),
        (text) => text.includes('poison'),
      )
  })

  it('that is taken back leaves no trace: its options are cleared where they were, and nowhere else', async () => {
    const { served, start, move, shown } = await fleet('back', 3)
    const before = await served(0)
    const { id } = await start(CANDIDATE, { canary: hostnames('back', 2), gates: NO_GATES })
    await until(
      () => served(2),
      (text) => text.includes('poison'),
    )
    const moved = created<Rollout>(await move(id, 'rollback'), 200)
    expect(moved).toMatchObject({ state: 'rolled-back', served: false, clearing: true, live: true })
    const after = await until(
      () => served(2),
      (text) => !text.includes('poison'),
    )
    expect(JSON.parse(after)).toMatchObject({
      options: { distributed_interval: 10, logger_tls_max_lines: 1024 },
      schedule: { up: { query: 'SELECT 1', interval: 60 } },
    })
    expect(await served(0)).toBe(before)
    expect(await served(1)).toBe(before)
    // Again is the same.
    expect(created<Rollout>(await move(id, 'rollback'), 200)).toMatchObject({ state: 'rolled-back' })
    expect(await shown(id)).toMatchObject({ members: 1 })
  })
})
