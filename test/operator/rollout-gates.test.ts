import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer, type TestServer } from '../support/harness.ts'
import { created, enrollHost, problemOf } from '../support/operator.ts'
import { CANDIDATE, hostnames, NO_GATES, STABLE, rolloutFleet, untilServed } from '../support/rollouts.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
}, 30_000)
afterAll(() => server.close())

const fleet = (name: string, nodes: number) => rolloutFleet(server, name, nodes)
const until = (served: () => Promise<string>, fits: (text: string) => boolean) =>
  untilServed(server, served, fits)

describe('gates', () => {
  /** A member tells what its scheduled queries cost, as an agent does. */
  async function report(key: string, denylisted: 0 | 1): Promise<void> {
    const row = {
      name: 'poison',
      query: 'SELECT 2',
      interval: '60',
      executions: '1',
      last_executed: '1',
      denylisted: String(denylisted),
      output_size: '10',
      wall_time: '0',
      wall_time_ms: '5',
      user_time: '3',
      system_time: '2',
      average_memory: '1000',
    }
    const line = {
      name: 'osquery-edge/cost',
      hostIdentifier: 'x',
      calendarTime: 'now',
      unixTime: Math.floor(Date.now() / 1_000),
      epoch: 0,
      counter: 0,
      numerics: false,
      action: 'snapshot',
      snapshot: [row],
    }
    const body = { node_key: key, log_type: 'result', data: [line] }
    expect((await server.agent('/api/osquery/log', body)).text).toBe('{}')
  }

  it('halt a version whose query agents die of, by what members tell; what they say is shown', async () => {
    const { start, shown, cron, served, keys } = await fleet('gated', 3)
    const before = await served(0)
    const gates = { ...NO_GATES, denylisted: 0 }
    const { id } = await start(CANDIDATE, { canary: hostnames('gated', 1), gates })
    expect((await shown(id)).gates.find(({ gate }) => gate === 'denylisted')?.status).toBe('unknown')
    await report(keys[1] ?? '', 1)
    await server.until(async () => {
      const found = (await shown(id)).gates.find(({ gate }) => gate === 'denylisted')
      return found?.status === 'fail'
    })
    await cron()
    expect(await shown(id)).toMatchObject({
      state: 'halted',
      served: false,
      clearing: true,
      reason: { by: 'gate', detail: 'denylisted: 1 of 1 that reported' },
    })
    await until(
      () => served(1),
      (text) => !text.includes('poison') && text.includes('"logger_tls_max_lines":1024'),
    )
    expect(await served(0)).toBe(before)
  })

  it('that do not know hold the step beyond its time', async () => {
    const { start, shown, cron } = await fleet('unknown', 3)
    const gates = { ...NO_GATES, denylisted: 0 }
    const { id } = await start(CANDIDATE, { canary: hostnames('unknown', 1), gates })
    await cron(7_200)
    expect(await shown(id)).toMatchObject({ state: 'waiting', step: 1 })
    await cron(14_400)
    expect(await shown(id)).toMatchObject({ state: 'waiting', step: 1 })
  })
})

describe('after a version was taken back', () => {
  it('its members are told defaults until each of them has been; then they are as all others', async () => {
    const { served, start, move, shown, cron, id: environmentId } = await fleet('cleared', 2)
    const before = await served(0)
    const { id } = await start(CANDIDATE, { canary: hostnames('cleared', 1), gates: NO_GATES })
    created(await move(id, 'rollback'), 200)
    await until(
      () => served(1),
      (text) => text.includes('"logger_tls_max_lines":1024'),
    )
    const dayS = 25 * 3_600
    let days = 1
    await cron(dayS)
    expect(await shown(id)).toMatchObject({ clearing: true })
    await server.until(async () => {
      // A minute later: who was served the version in the last second would else count as cleared.
      const atS = Math.floor(Date.now() / 1_000) + 60
      const sighting = { ordinal: 1, kind: 'config' as const, atS, configurationVersion: 2 }
      await server.env.PRESENCE.getByName(`${environmentId}/0`).flush([sighting], {})
      await cron((days += 1) * dayS)
      return !(await shown(id)).clearing
    }, 10_000)
    await until(
      () => served(1),
      (text) => text === before,
    )
  })

  it('waits for members that are archived, as for all that are away', async () => {
    const { start, move, shown, cron, id: environmentId } = await fleet('archived', 2)
    const { id } = await start(CANDIDATE, { canary: hostnames('archived', 1), gates: NO_GATES })
    created(await move(id, 'rollback'), 200)
    const archive = server.env.DB.prepare(
      'UPDATE nodes SET archived_at = 1 WHERE environment_id = ? AND ordinal = 1',
    )
    await archive.bind(environmentId).run()
    for (const days of [2, 4]) await cron(days * 24 * 3_600)
    expect(await shown(id)).toMatchObject({ clearing: true })
  })

  it('a member that enrolls anew is told them, too: its osqueryd is the same process', async () => {
    const { start, move, cron, path, secret } = await fleet('anew', 2)
    const uuid = crypto.randomUUID()
    const key = await enrollHost(server, 'same-machine', { secret, uuid })
    const { id } = await start(CANDIDATE, { canary: { hostnames: ['same-machine'] }, gates: NO_GATES })
    const of = (nodeKey: string) => async () =>
      (await server.agent('/api/osquery/config', { node_key: nodeKey })).text
    await until(of(key), (text) => text.includes('poison'))
    created(await move(id, 'rollback'), 200)
    const nodes = path.replace('/configuration', '/nodes')
    const { items } = created<{ items: { id: string }[] }>(
      await server.operator('GET', `${nodes}?q=same-machine`),
      200,
    )
    await server.operator('DELETE', `${nodes}/${items[0]?.id}`)
    const again = await enrollHost(server, 'same-machine', { secret, uuid })
    await cron(700)
    await until(of(again), (text) => text.includes('"logger_tls_max_lines":1024'))
  })

  it('the next version finds what its members hold, and completes over it', async () => {
    const { served, start, move, apply } = await fleet('again', 2)
    const { id } = await start(CANDIDATE, { canary: hostnames('again', 1), gates: NO_GATES })
    created(await move(id, 'rollback'), 200)
    created(await apply({ ...STABLE, options: { distributed_interval: 11 } }), 200)
    await until(
      () => served(1),
      (text) => text.includes('"distributed_interval":11') && text.includes('"logger_tls_max_lines":1024'),
    )
    const other = await until(
      () => served(0),
      (text) => text.includes('"distributed_interval":11'),
    )
    expect(other).not.toContain('logger_tls_max_lines')
  })

  it('a version that was complete is taken back from all, with its options', async () => {
    const { served, start, move, shown, path } = await fleet('late', 2)
    const steps = [{ percent: 100, waitSeconds: 0 }]
    const { id } = await start(CANDIDATE, { steps, gates: NO_GATES })
    created(await move(id, 'advance'), 200)
    expect(await shown(id)).toMatchObject({ state: 'complete' })
    for (const node of [0, 1])
      await until(
        () => served(node),
        (text) => text.includes('poison'),
      )
    created(await move(id, 'rollback'), 200)
    for (const node of [0, 1])
      await until(
        () => served(node),
        (text) => !text.includes('poison') && text.includes('"logger_tls_max_lines":1024'),
      )
    expect((await server.operator('GET', path)).headers.get('x-configuration-version')).toBe('2')
    // A later change has a number of its own.
    const { version } = created<{ version: number }>(
      await server.operator('PUT', path, { ...STABLE, options: { verbose: true } }),
      200,
    )
    expect(version).toBe(4)
    expect(problemOf(await server.operator('POST', `${path}/rollouts`, { version: 4 })).status).toBe(409)
    created(await server.operator('POST', `${path}/rollouts`, { version: 3, steps, gates: NO_GATES }))
  })
})

describe('a rollout that makes no sense', () => {
  it.each<[object, string]>([
    [{ canary: { percent: 0 } }, '/rollout/canary/percent'],
    [{ canary: { tags: ['nobody-has-it'] } }, '/rollout/canary/tags/0'],
    [{ steps: [] }, '/rollout/steps'],
    [
      {
        steps: [
          { percent: 50, waitSeconds: 1 },
          { percent: 10, waitSeconds: 1 },
        ],
      },
      '/rollout/steps',
    ],
    [{ steps: [{ percent: 101, waitSeconds: 1 }] }, '/rollout/steps/0/percent'],
    [{ gates: { cpu: 0.5 } }, '/rollout/gates/cpu'],
    [{ gates: { nothing: 1 } }, '/rollout/gates/nothing'],
    [{ onHalt: 'shrug' }, '/rollout/onHalt'],
  ])('%j is refused, and nothing is stored', async (rollout, pointer) => {
    const name = 'default'
    const path = `/environments/${name}/configuration`
    const body = { document: CANDIDATE, layers: [], rollout }
    const reply = await server.operator('POST', `${path}/apply`, body)
    expect(problemOf(reply)).toEqual({ status: 422, pointers: [pointer] })
    expect((await server.operator('GET', path)).headers.get('x-configuration-version')).toBe('1')
  })

  it('is refused where nobody would be in its first step', async () => {
    const { apply } = await fleet('nobody', 0)
    expect(problemOf(await apply(CANDIDATE, {}))).toEqual({ status: 422, pointers: ['/rollout/canary'] })
  })
})
