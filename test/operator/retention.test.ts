/** For how long log lines are kept: by environment and type, in classes that R2 ends by prefix; and results of queries. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer, type TestServer } from '../support/harness.ts'
import { created, enrollHost, makeEnvironment, problemOf } from '../support/operator.ts'
import { logBody, sendLog } from '../logs/support.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

const DEFAULTS = { result: 90, snapshot: 90, status: 90, query: 90, audit: 90 }

describe('GET', () => {
  it('says 90 days where nothing was set, and which there are', async () => {
    await makeEnvironment(server, 'kept')
    expect((await server.operator('GET', '/environments/kept/retention')).json()).toEqual({
      days: DEFAULTS,
      classes: [7, 30, 90, 180, 365, 730],
      resultsRetentionDays: 30,
      tracesRetentionDays: 90,
    })
  })
})

describe('PATCH', () => {
  it('sets what it names, writes its audit row, and is live', async () => {
    const { id } = await makeEnvironment(server, 'set')
    const first = await server.operator('PATCH', '/environments/set/retention', { status: 7, query: 730 })
    expect(created(first, 200)).toMatchObject({ days: { ...DEFAULTS, status: 7, query: 730 }, live: true })
    const second = await server.operator('PATCH', '/environments/set/retention', { status: 30 })
    expect(created(second, 200)).toMatchObject({ days: { ...DEFAULTS, status: 30, query: 730 } })
    const { items } = created<{ items: unknown[] }>(
      await server.operator('GET', `/audit?environment=${id}&limit=1`),
      200,
    )
    expect(items).toMatchObject([{ action: 'retention.set', detail: { days: { status: 30, query: 730 } } }])
  })

  it('sets the days of results of live queries, and leaves them where it does not name them', async () => {
    const { id } = await makeEnvironment(server, 'results')
    const path = '/environments/results/retention'
    const set = await server.operator('PATCH', path, { resultsRetentionDays: 7 })
    expect(created(set, 200)).toMatchObject({ days: DEFAULTS, resultsRetentionDays: 7 })
    await server.operator('PATCH', path, { status: 30 })
    expect((await server.operator('GET', path)).json()).toMatchObject({ resultsRetentionDays: 7 })
    const { items } = created<{ items: unknown[] }>(
      await server.operator('GET', `/audit?environment=${id}&limit=2`),
      200,
    )
    expect(items[1]).toMatchObject({ action: 'retention.set', detail: { resultsRetentionDays: 7 } })
  })

  it.each([
    [{ resultsRetentionDays: 0 }, '/resultsRetentionDays'],
    [{ resultsRetentionDays: 366 }, '/resultsRetentionDays'],
    [{ resultsRetentionDays: 1.5 }, '/resultsRetentionDays'],
    [{ status: 8 }, '/status'],
    [{ status: '7' }, '/status'],
    [{ lines: 7 }, '/lines'],
    [{ result: null }, '/result'],
  ])('%j is refused, and the field named', async (body, pointer) => {
    const reply = await server.operator('PATCH', '/environments/default/retention', body)
    expect(problemOf(reply)).toEqual({ status: 422, pointers: [pointer] })
  })
})

describe('lines', () => {
  it('lie under the class of their environment and type; those of before stay where they were', async () => {
    const { id, secret } = await makeEnvironment(server, 'classes')
    const nodeKey = await enrollHost(server, 'classes-1', { secret })
    const classesNow = async () => {
      const { objects } = await server.env.ARCHIVE.list({ prefix: 'logs/' })
      const own = objects.filter(({ key }) => key.includes(`environment=${id}/`))
      return own.map(({ key }) => key.replace(/^logs\/(r\d+)\/.*\/type=(\w+)\/.*$/, '$1 $2')).sort()
    }
    await sendLog(server, logBody(nodeKey, 'status', ['{"severity":"0"}']))
    await server.until(async () => (await classesNow()).length === 1)
    created(await server.operator('PATCH', '/environments/classes/retention', { status: 7 }), 200)
    // The consumer's head is at most a few seconds old.
    await server.until(async () => {
      await sendLog(server, logBody(nodeKey, 'status', [`{"severity":"1","id":"${crypto.randomUUID()}"}`]))
      return (await classesNow()).includes('r7 status')
    })
    await sendLog(server, logBody(nodeKey, 'result', ['{"name":"n"}']))
    await server.until(async () => (await classesNow()).includes('r90 result'))
    expect((await classesNow()).filter((one) => one === 'r90 status').length).toBeGreaterThanOrEqual(1)
  })
})
