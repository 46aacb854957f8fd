/** The objects that keep costs go away: no line is lost or held for it, and what was missed is in the next report. */

import { afterAll, beforeAll, expect, it } from 'vitest'
import { startServer, type TestServer } from '../support/harness.ts'
import { created, enrollHost } from '../support/operator.ts'
import type { LogList } from '../logs/support.ts'
import { costLine, sendLines } from './support.ts'

const HOUR_S = 3_600
const nowS = Math.floor(Date.now() / 1_000)

let server: TestServer
beforeAll(async () => {
  server = await startServer({ entry: 'test/faults/entry.ts' })
})
afterAll(() => server.close())

const setFaults = (faults: Record<string, string>) => server.agent('/test/faults', faults)

const archived = async (): Promise<number> =>
  created<LogList>(await server.operator('GET', '/environments/default/logs?type=snapshot'), 200).items.length

const executionsOf = async (query: string): Promise<number | undefined> => {
  const reply = await server.operator('GET', '/environments/default/costs')
  if (reply.status !== 200) return undefined
  const { items } = reply.json<{ items: { query: string; prevailing: { executions: number } | null }[] }>()
  return items.find((item) => item.query === query)?.prevailing?.executions
}

it.each(['throw', 'hang', 'lost'])(
  'with the objects that keep costs away (%s) lines are archived; totals catch up',
  async (mode) => {
    const key = await enrollHost(server, `host-${mode}`)
    const report = (executions: number, hoursAgo: number) =>
      sendLines(server, key, [costLine(nowS - hoursAgo * HOUR_S, [{ name: mode, executions }])])
    await report(6, 4)
    await server.until(async () => (await executionsOf(mode)) === 6)
    const before = await archived()
    await setFaults({ COSTS: mode })
    await report(12, 3)
    await server.until(async () => (await archived()) === before + 1)
    if (mode === 'throw')
      expect((await server.operator('GET', '/environments/default/costs')).status).toBe(503)
    await setFaults({})
    await report(18, 2)
    await server.until(async () => (await executionsOf(mode)) === 18)
  },
)

it('a batch that comes again counts once', async () => {
  const key = await enrollHost(server, 'host-again')
  const line = costLine(nowS - HOUR_S, [{ name: 'again', executions: 3 }])
  for (let i = 0; i < 3; i += 1) await sendLines(server, key, [line])
  await sendLines(server, key, [costLine(nowS - HOUR_S / 2, [{ name: 'again', executions: 5 }])])
  await server.until(async () => (await executionsOf('again')) === 5)
})

it('an object that is thrown out of memory goes on where it was', async () => {
  const key = await enrollHost(server, 'host-evicted')
  await sendLines(server, key, [costLine(nowS - 2 * HOUR_S, [{ name: 'evicted', executions: 3 }])])
  await server.until(async () => (await executionsOf('evicted')) === 3)
  const { id } = created<{ id: string }>(await server.operator('GET', '/environments/default'), 200)
  await server.evict('COSTS', { name: `${id}/0` })
  await sendLines(server, key, [costLine(nowS - HOUR_S, [{ name: 'evicted', executions: 7 }])])
  await server.until(async () => (await executionsOf('evicted')) === 7)
})

it('a query that is to be paused is paused when the objects are back', async () => {
  const path = '/environments/default'
  const query = { query: 'SELECT 1', interval: 600 }
  created(await server.operator('PUT', `${path}/configuration`, { schedule: { killer: query } }), 200)
  const rules = { budget: null, autoPause: { share: 0.5, minNodes: 2 } }
  created(await server.operator('PUT', `${path}/cost-rules`, rules), 200)
  const runDuties = () => server.worker.scheduled({ cron: '* * * * *' })
  const paused = async () =>
    created<{ paused: object[] }>(await server.operator('GET', `${path}/costs`), 200).paused
  const killed = JSON.stringify({
    severity: 1,
    filename: 'config.cpp',
    message: 'Scheduled query may have failed: killer',
    unixTime: nowS - 60,
  })
  for (const host of ['host-k1', 'host-k2'])
    await sendLines(server, await enrollHost(server, host), [killed], 'status')
  await server.until(async () =>
    (await server.operator('GET', `${path}/costs/killer`)).text.includes('"denylistedNodes":2'),
  )
  await setFaults({ COSTS: 'throw' })
  await runDuties()
  await setFaults({})
  expect(await paused()).toEqual([])
  await runDuties()
  expect(await paused()).toMatchObject([{ query: 'killer' }])
})
