import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer, type TestServer } from '../support/harness.ts'
import { allPages, created, problemOf } from '../support/operator.ts'
import {
  CANDIDATE,
  hostnames,
  NO_GATES,
  type Rollout,
  STABLE,
  rolloutFleet,
  untilServed,
} from '../support/rollouts.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
}, 30_000)
afterAll(() => server.close())

const fleet = (name: string, nodes: number) => rolloutFleet(server, name, nodes)
const until = (served: () => Promise<string>, fits: (text: string) => boolean) =>
  untilServed(server, served, fits)

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

describe('who holds what', () => {
  interface Holders {
    stableVersion: number
    rollout: { version: number; members: number } | null
    nodes: number
    current: number
    behind: number
    never: number
    versions: { version: number; nodes: number }[]
  }

  it('is told by what nodes were last served, with those that are behind', async () => {
    const { start, path, id } = await fleet('drift', 3)
    const holders = async () => created<Holders>(await server.operator('GET', `${path}/holders`), 200)
    // What isolates tell within 15 s.
    const note = (ordinal: number, configurationVersion: number) =>
      server.env.PRESENCE.getByName(`${id}/0`).flush(
        [{ ordinal, kind: 'config', atS: Math.floor(Date.now() / 1_000), configurationVersion }],
        {},
      )
    await note(0, 2)
    await note(1, 2)
    expect(await holders()).toEqual({
      stableVersion: 2,
      rollout: null,
      nodes: 3,
      current: 2,
      behind: 1,
      never: 1,
      versions: [{ version: 2, nodes: 2 }],
    })
    await start(CANDIDATE, { canary: hostnames('drift', 0), gates: NO_GATES })
    expect(await holders()).toMatchObject({ rollout: { version: 3, members: 1 }, current: 1, behind: 2 })
    const behind = await allPages<Record<string, unknown>>(server, `${path}/holders/behind`, 1)
    expect(behind).toMatchObject([
      { hostname: 'drift-2', version: null, expectedVersion: 2, configuredAt: null },
      { hostname: 'drift-0', version: 2, expectedVersion: 3, online: true },
    ])
    await note(0, 3)
    expect(await holders()).toMatchObject({
      current: 2,
      versions: [
        { version: 3, nodes: 1 },
        { version: 2, nodes: 1 },
      ],
    })
  })

  it('is told of one node: what it was served, what it is to have, and its document byte for byte', async () => {
    const { served, start, move } = await fleet('one', 2)
    const of = async (index: number) => {
      const { items } = created<{ items: { id: string }[] }>(
        await server.operator('GET', `/environments/one/nodes?q=one-${index}`),
        200,
      )
      const path = `/environments/one/nodes/${items[0]?.id}`
      const node = created<{ expectedConfigurationVersion: number }>(await server.operator('GET', path), 200)
      const shown = await server.operator('GET', `${path}/configuration`)
      return { expected: node.expectedConfigurationVersion, shown: shown.text }
    }
    const documentIn = (shown: string) => shown.slice(shown.indexOf('"document":') + 11, -1)
    const { id } = await start(CANDIDATE, { canary: hostnames('one', 1), gates: NO_GATES })
    const document = await until(
      () => served(1),
      (text) => text.includes('poison'),
    )
    expect(await of(0)).toMatchObject({ expected: 2 })
    expect(await of(1)).toMatchObject({ expected: 3 })
    expect(documentIn((await of(1)).shown)).toBe(document)
    created(await move(id, 'halt'), 200)
    const cleared = await until(
      () => served(1),
      (text) => !text.includes('poison'),
    )
    const after = await of(1)
    expect(after.expected).toBe(2)
    expect(documentIn(after.shown)).toBe(cleared)
    expect(JSON.parse(after.shown)).toMatchObject({
      origins: expect.arrayContaining([
        { pointer: '/options/logger_tls_max_lines', layer: "osquery's default" },
      ]) as unknown,
    })
  })
})

describe('while a rollout is under way', () => {
  it('other changes are refused, and told which one and what to do', async () => {
    const { start, apply, path, shown } = await fleet('busy', 2)
    const { id } = await start(CANDIDATE, { canary: hostnames('busy', 0), gates: NO_GATES })
    const put = await server.operator('PUT', path, { options: { verbose: true } })
    expect(problemOf(put)).toEqual({ status: 409, pointers: ['/rollout'] })
    expect(put.text).toContain(`rollout ${id} of version 3 is running`)
    const layer = { match: { platform: 'linux' }, document: {} }
    for (const reply of [
      await apply(STABLE),
      await apply({ options: { verbose: true } }, {}),
      await server.operator('PUT', `${path}/layers/l`, layer),
      await server.operator('POST', `${path}/rollback`, { version: 1 }),
      await server.operator('POST', `${path}/rollouts`, { version: 1 }),
    ])
      expect(reply.status === 409 || reply.json<{ result?: string }>().result === 'unchanged').toBe(true)
    // The same content is on its way already.
    expect(created(await apply(CANDIDATE), 200)).toMatchObject({ result: 'unchanged', rollout: { id } })
    // Nothing gives way to what makes no sense.
    const nobody = { canary: { tags: ['nobody-has-it'] } }
    expect((await apply(STABLE, nobody, { supersede: true })).status).toBe(422)
    expect(await shown(id)).toMatchObject({ state: 'running' })
    created(await server.operator('PUT', `${path}?supersede=true`, { options: { verbose: true } }), 200)
    expect(await shown(id)).toMatchObject({ state: 'rolled-back', reason: { by: 'superseded' } })
    const present = await server.operator('GET', path)
    expect(present.headers.get('x-configuration-version')).toBe('4')
  })

  it('it can be paused, resumed, advanced and halted; what makes no sense is refused', async () => {
    const { start, move, cron, shown } = await fleet('moves', 2)
    const steps = [{ percent: 100, waitSeconds: 10 }]
    const { id } = await start(CANDIDATE, { canary: hostnames('moves', 0), steps, gates: NO_GATES })
    expect(problemOf(await move(id, 'resume'))).toEqual({ status: 409, pointers: ['/state'] })
    expect(created(await move(id, 'pause'), 200)).toMatchObject({ state: 'paused', served: true })
    await cron(3_600)
    expect(await shown(id)).toMatchObject({ state: 'paused', step: 1 })
    expect(problemOf(await move(id, 'advance')).status).toBe(409)
    expect(created(await move(id, 'resume'), 200)).toMatchObject({ state: 'running' })
    expect(created(await move(id, 'advance'), 200)).toMatchObject({ state: 'running', step: 2, members: 2 })
    expect(created(await move(id, 'halt'), 200)).toMatchObject({
      state: 'halted',
      served: false,
      clearing: true,
    })
    for (const kind of ['advance', 'pause', 'resume'])
      expect(problemOf(await move(id, kind)).status).toBe(409)
    expect((await move('nobody', 'halt')).status).toBe(404)
  })

  it('each move is in the audit with who made it', async () => {
    const { start, move, id: environmentId, cron } = await fleet('told', 1)
    const steps = [{ percent: 100, waitSeconds: 0 }]
    const { id } = await start(CANDIDATE, { canary: hostnames('told', 0), steps, gates: NO_GATES })
    await cron(3_600)
    await cron(7_200)
    created(await move(id, 'rollback'), 200)
    const audit = await allPages<{ action: string; actor: string; subject: string }>(
      server,
      `/audit?environment=${environmentId}`,
      100,
    )
    const moves = audit
      .filter(({ subject }) => subject === id)
      .map(({ action, actor }) => `${action} ${actor}`)
    // The cron was told of a time to come, and lists go by time.
    expect(new Set(moves)).toEqual(
      new Set(['rollout.start first', 'rollout.complete rollout', 'rollout.rollback first']),
    )
  })
})
