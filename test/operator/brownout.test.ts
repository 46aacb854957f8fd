/** The switch for bad times: longer intervals, no acceleration, no enrollment; with D1 there and with D1 away. */

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { OPERATOR_TOKEN, startServer, type Reply, type TestServer } from '../support/harness.ts'
import { created, enrollHost, makeEnvironment, problemOf } from '../support/operator.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer({ entry: 'test/faults/entry.ts' })
})
afterAll(() => server.close())
afterEach(async () => {
  await faults({})
  created(await server.operator('PUT', '/brownout', { on: false }), 200)
})

const ALL = { config_tls_refresh: 300, distributed_interval: 60, logger_tls_period: 300 }
const SHORT = { on: true, reason: 'the database is on fire' }

function faults(modes: Record<string, string>): Promise<Reply> {
  return server.agent('/test/faults', modes)
}

/** A new isolate each time, so that nobody waits until its memory is old. */
const COLD = { 'x-test-cold': '1' }

async function optionsOf(nodeKey: string): Promise<Record<string, number>> {
  const reply = await server.agent('/api/osquery/config', { node_key: nodeKey }, COLD)
  return reply.json<{ options?: Record<string, number> }>().options ?? {}
}

function untilInterval(nodeKey: string, wanted: (seconds: number) => boolean): Promise<number> {
  return server.until(async () => {
    const seconds = (await optionsOf(nodeKey))['distributed_interval'] ?? 0
    return wanted(seconds) ? seconds : null
  })
}

function enroll(secret: string, host: string): Promise<Reply> {
  const host_details = { system_info: { hostname: host, uuid: crypto.randomUUID() } }
  const body = { enroll_secret: secret, host_identifier: host, platform_type: '9', host_details }
  return server.agent('/api/osquery/enroll', body, COLD)
}

async function untilEnroll(secret: string, host: string, wanted: (text: string) => boolean): Promise<string> {
  return server.until(async () => {
    const { text } = await enroll(secret, `${host}-${crypto.randomUUID()}`)
    return wanted(text) ? text : null
  })
}

/** What the Directory object does some seconds later. */
async function runDirectoryAlarm(): Promise<void> {
  const directory = server.env.DIRECTORY.getByName('directory') as unknown as { runAlarm(): Promise<void> }
  await directory.runAlarm()
}

/** What the Environment object does within five minutes. */
async function runEnvironmentAlarm(id: string): Promise<void> {
  const environment = server.env.ENVIRONMENT.getByName(id) as unknown as { runAlarm(): Promise<void> }
  await environment.runAlarm()
}

describe('an environment', () => {
  it('gives longer intervals, lets nobody enroll, and goes back', async () => {
    const { id, secret } = await makeEnvironment(server, 'browned')
    const key = await enrollHost(server, 'browned-1', { secret })
    created(await server.operator('PUT', '/environments/browned/intervals', ALL), 200)
    await untilInterval(key, (seconds) => seconds > 0 && seconds < 70)
    expect(created(await server.operator('PUT', '/environments/browned/brownout', SHORT), 200)).toMatchObject(
      {
        active: true,
        intervalFactor: 4,
        environment: { on: true, reason: SHORT.reason, by: 'first' },
        live: true,
        environments: { all: 1, told: 1 },
      },
    )
    expect(await untilInterval(key, (seconds) => seconds > 100)).toBeGreaterThanOrEqual(216)
    expect(await untilEnroll(secret, 'browned', (text) => text === 'retry')).toBe('retry')
    // Others are not concerned.
    const elsewhere = await makeEnvironment(server, 'bright')
    await enrollHost(server, 'bright-1', { secret: elsewhere.secret })
    expect((await server.operator('GET', '/environments/browned')).json()).toMatchObject({
      brownout: { active: true, environment: { on: true } },
    })
    expect((await server.operator('GET', '/environments/browned/plan')).json()).toMatchObject({
      brownout: { active: true, intervalFactor: 4 },
    })
    created(await server.operator('PUT', '/environments/browned/brownout', { on: false }), 200)
    await untilInterval(key, (seconds) => seconds < 70)
    await untilEnroll(secret, 'browned', (text) => text.includes('node_key'))
    const audited = await server.until(async () => {
      const reply = await server.operator('GET', `/audit?environment=${id}&limit=10`)
      const actions = reply.json<{ items: { action: string; actor: string }[] }>().items
      const ours = actions.filter(({ action }) => action.startsWith('brownout'))
      return ours.length === 2 ? ours : null
    })
    expect(audited.map(({ action }) => action)).toEqual(['brownout.end', 'brownout.begin'])
  })

  it('that says nothing of intervals gets longer ones, and keeps the recommended ones afterwards', async () => {
    const { secret } = await makeEnvironment(server, 'silent')
    const key = await enrollHost(server, 'silent-1', { secret })
    expect(await optionsOf(key)).toEqual({})
    created(
      await server.operator('PUT', '/environments/silent/brownout', { ...SHORT, intervalFactor: 10 }),
      200,
    )
    expect(await untilInterval(key, (seconds) => seconds > 0)).toBeGreaterThanOrEqual(540)
    const { items } = created<{ items: { id: string }[] }>(
      await server.operator('GET', '/environments/silent/nodes'),
      200,
    )
    const view = created<{ document: unknown; origins: object[] }>(
      await server.operator('GET', `/environments/silent/nodes/${items[0]?.id}/configuration`),
      200,
    )
    expect(view.document).toMatchObject({ options: await optionsOf(key) })
    expect(view.origins).toEqual([{ pointer: '/options', layer: 'brownout' }])
    created(await server.operator('PUT', '/environments/silent/brownout', { on: false }), 200)
    expect(await untilInterval(key, (seconds) => seconds < 100)).toBeGreaterThanOrEqual(54)
  })

  it('that never was may be ended: no document changes', async () => {
    const { secret } = await makeEnvironment(server, 'never')
    const key = await enrollHost(server, 'never-1', { secret })
    expect(await optionsOf(key)).toEqual({})
    const ended = await server.operator('PUT', '/environments/never/brownout', { on: false })
    expect(created(ended, 200)).toMatchObject({ active: false, live: true })
    expect(await optionsOf(key)).toEqual({})
  })

  it('accelerates nobody meanwhile', async () => {
    const { secret } = await makeEnvironment(server, 'calm')
    const key = await enrollHost(server, 'calm-1', { secret })
    const { id } = created(
      await server.operator('POST', '/environments/calm/queries', {
        sql: 'SELECT 1',
        targets: { all: true },
      }),
    )
    const read = async () => {
      const reply = await server.agent('/api/osquery/distributed/read', { node_key: key }, COLD)
      return reply.json<{ accelerate?: number }>().accelerate
    }
    created(await server.operator('POST', `/environments/calm/queries/${id}/watch`), 200)
    await server.until(read)
    created(await server.operator('PUT', '/environments/calm/brownout', SHORT), 200)
    await server.until(async () => (await read()) === undefined)
    expect((await server.operator('GET', '/environments/calm/acceleration')).json()).toMatchObject({
      nodes: 0,
    })
  })
})

describe('the deployment', () => {
  it('browns out all environments, and a new one as soon as it is there', async () => {
    const { secret } = await makeEnvironment(server, 'one-of-many')
    const key = await enrollHost(server, 'many-1', { secret })
    const reply = created<{ environments: { all: number; told: number } }>(
      await server.operator('PUT', '/brownout', { ...SHORT, expiresInSeconds: 3_600 }),
      200,
    )
    expect(reply).toMatchObject({
      active: true,
      deployment: { on: true, until: expect.any(String) as string },
    })
    expect(reply.environments.told).toBe(reply.environments.all)
    await untilInterval(key, (seconds) => seconds > 200)
    expect(await untilEnroll(secret, 'many', (text) => text === 'retry')).toBe('retry')
    expect((await server.operator('GET', '/environments/one-of-many/brownout')).json()).toMatchObject({
      active: true,
      environment: null,
      deployment: { on: true },
    })
    const late = await makeEnvironment(server, 'late')
    expect(await untilEnroll(late.secret, 'late', (text) => text === 'retry')).toBe('retry')
  })
})

describe('with D1 away', () => {
  it.each(['throw', 'hang'])(
    '(%s) the switch works, and its audit row follows when D1 is back',
    async (mode) => {
      const name = `dark-${mode}`
      const { id, secret } = await makeEnvironment(server, name)
      const key = await enrollHost(server, `${name}-1`, { secret })
      created(await server.operator('PUT', `/environments/${name}/intervals`, ALL), 200)
      await untilInterval(key, (seconds) => seconds > 0)
      await faults({ DB: mode })
      expect(
        created(await server.operator('PUT', `/environments/${name}/brownout`, SHORT), 200),
      ).toMatchObject({
        active: true,
        live: true,
      })
      await untilInterval(key, (seconds) => seconds > 200)
      expect(await untilEnroll(secret, name, (text) => text === 'retry')).toBe('retry')
      expect((await server.operator('GET', `/environments/${id}/brownout`)).json()).toMatchObject({
        active: true,
      })
      created(await server.operator('PUT', `/environments/${name}/brownout`, { on: false }), 200)
      await untilInterval(key, (seconds) => seconds < 70)
      await faults({})
      const items = await server.until(async () => {
        await runDirectoryAlarm()
        const found = await server.operator('GET', `/audit?environment=${id}&limit=10`)
        const all = found.json<{ items: { action: string; detail: { reason?: string } }[] }>().items
        const ours = all.filter(({ action }) => action.startsWith('brownout'))
        return ours.length >= 2 ? ours : null
      })
      expect(items.map(({ action }) => action)).toEqual(['brownout.end', 'brownout.begin'])
      expect(items[1]?.detail.reason).toBe(SHORT.reason)
    },
  )

  it('everything else says so, and a token that is none or was revoked turns nothing', async () => {
    const { id, token } = created<{ id: string; token: string }>(
      await server.operator('POST', '/operator-tokens', { name: 'leaver' }),
    )
    const turn = (bearer: string) =>
      server.harness.fetch('/api/v1/brownout', {
        method: 'PUT',
        headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
        body: JSON.stringify({ on: false }),
      })
    await faults({ DB: 'throw' })
    expect((await turn(token)).status).toBe(200)
    expect((await turn('oeo_nobody')).status).toBe(401)
    expect((await server.operator('GET', '/environments')).status).toBe(503)
    await faults({})
    await server.operator('DELETE', `/operator-tokens/${id}`)
    await faults({ DB: 'throw' })
    expect((await turn(token)).status).toBe(401)
    expect((await turn(OPERATOR_TOKEN)).status).toBe(200)
  })
})

describe('with objects away', () => {
  it('an environment that could not be told learns it from the directory', async () => {
    const { id, secret } = await makeEnvironment(server, 'deaf')
    const key = await enrollHost(server, 'deaf-1', { secret })
    await faults({ ENVIRONMENT: 'throw' })
    const path = '/environments/deaf/brownout'
    expect(created(await server.operator('PUT', path, SHORT), 200)).toMatchObject({
      active: true,
      live: false,
      environments: { all: 1, told: 0 },
    })
    await faults({})
    expect(await optionsOf(key)).toEqual({})
    await runEnvironmentAlarm(id)
    expect(await untilInterval(key, (seconds) => seconds > 0)).toBeGreaterThanOrEqual(216)
    created(await server.operator('PUT', path, { on: false }), 200)
  })

  it('says so where the directory does not answer, and turns nothing', async () => {
    await faults({ DIRECTORY: 'throw' })
    expect((await server.operator('PUT', '/brownout', SHORT)).status).toBe(503)
    await faults({})
    expect((await server.operator('GET', '/brownout')).json()).toMatchObject({ active: false })
  })
})

describe('bad input', () => {
  it.each([
    [{}, '/on'],
    [{ on: true }, '/reason'],
    [{ ...SHORT, intervalFactor: 0.5 }, '/intervalFactor'],
    [{ ...SHORT, intervalFactor: 101 }, '/intervalFactor'],
    [{ ...SHORT, expiresInSeconds: 59 }, '/expiresInSeconds'],
    [{ ...SHORT, factor: 2 }, '/factor'],
  ])('%j is refused, and the field named', async (body, pointer) => {
    expect(problemOf(await server.operator('PUT', '/brownout', body))).toEqual({
      status: 422,
      pointers: [pointer],
    })
  })

  it('an environment that is not there is a 404', async () => {
    expect((await server.operator('PUT', '/environments/nowhere/brownout', SHORT)).status).toBe(404)
  })
})
