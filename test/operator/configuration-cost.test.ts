import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer, type TestServer } from '../support/harness.ts'
import { created, enrollHost, problemOf } from '../support/operator.ts'
import { costLine, sendLines } from '../costs/support.ts'

const HOUR_S = 3_600
const nowS = Math.floor(Date.now() / 1_000)
const PATH = '/environments/default'
const KNOWN = { query: 'SELECT 1', interval: 600 }

let server: TestServer
beforeAll(async () => {
  server = await startServer({ entry: 'test/faults/entry.ts' })
  const key = await enrollHost(server, 'host-1')
  await enrollHost(server, 'mac-1', { platform: 'darwin', platformType: '21' })
  created(await server.operator('PUT', `${PATH}/configuration`, { schedule: { known: KNOWN } }), 200)
  for (const [executions, hoursAgo] of [
    [6, 2],
    [12, 1],
  ] as const)
    await sendLines(server, key, [
      costLine(nowS - hoursAgo * HOUR_S, [{ name: 'known', executions, cpuMs: 500 }]),
    ])
  await server.until(async () =>
    (await server.operator('GET', `${PATH}/costs`)).text.includes('"executions":12'),
  )
})
afterAll(() => server.close())

const plan = (schedule: Record<string, object>) =>
  server.operator('POST', `${PATH}/configuration/plan`, { document: { schedule }, layers: [] })

describe('a plan', () => {
  it('says what the change would make all nodes do in a day, and what is not known', async () => {
    const often = { ...KNOWN, interval: 60, platform: 'linux' }
    const reply = await plan({ known: KNOWN, often, unknown: { query: 'SELECT 2', interval: 3_600 } })
    expect(reply.json<{ estimate: object }>().estimate).toMatchObject({
      queries: [
        {
          query: 'often',
          rating: 'minimal',
          before: { nodes: 0 },
          after: { nodes: 1, cpuMs: 720_000, executions: 1_440 },
        },
        { query: 'unknown', rating: 'undetermined', after: { nodes: 2, executions: 48, cpuMs: null } },
      ],
      before: { cpuMs: 144_000, unknown: 0 },
      after: { cpuMs: 864_000, unknown: 1 },
    })
  })

  it('comes without an estimate while costs cannot be read', async () => {
    await server.agent('/test/faults', { COSTS: 'throw' })
    const reply = await plan({ known: KNOWN })
    await server.agent('/test/faults', {})
    expect(reply.json()).toMatchObject({ result: 'unchanged', estimate: null })
  })
})

describe('a budget', () => {
  const often = { ...KNOWN, interval: 60 }
  const setBudget = async (mode: 'warn' | 'block') =>
    created(
      await server.operator('PUT', `${PATH}/cost-rules`, {
        budget: { maxExecutionMs: null, maxDailyMs: 100_000, mode },
        autoPause: null,
      }),
      200,
    )

  it('that warns lets a query go over it, and says so at its place', async () => {
    await setBudget('warn')
    const reply = await plan({ known: KNOWN, often })
    expect(reply.json<{ warnings: object[] }>().warnings).toContainEqual({
      pointer: '/schedule/often',
      detail: 'often takes 720000 ms of CPU of a node and day; the budget is 100000 ms',
    })
  })

  it('that blocks refuses it, whichever way it comes, and never the way back', async () => {
    created(await server.operator('PUT', `${PATH}/configuration`, { schedule: { often } }), 200)
    created(await server.operator('PUT', `${PATH}/configuration`, { schedule: { known: KNOWN } }), 200)
    await setBudget('block')
    for (const reply of [
      await plan({ often }),
      await server.operator('POST', `${PATH}/configuration/apply`, {
        document: { schedule: { often } },
        layers: [],
      }),
      await server.operator('PUT', `${PATH}/configuration`, { schedule: { often } }),
    ])
      expect(problemOf(reply)).toEqual({ status: 422, pointers: ['/schedule/often'] })
    const layer = { match: { platform: 'linux' }, document: { schedule: { often } } }
    const refused = await server.operator('PUT', `${PATH}/configuration/layers/l`, layer)
    expect(problemOf(refused)).toEqual({ status: 422, pointers: ['/layers/l/schedule/often'] })
    const back = await server.operator('POST', `${PATH}/configuration/rollback`, { version: 3 })
    expect(back.json<{ warnings: { pointer: string }[] }>().warnings).toMatchObject([
      { pointer: '/schedule/often' },
    ])
    // What is there already is no fault of another change.
    const other = { often, other: { query: 'SELECT 7', interval: 60 } }
    created(await server.operator('PUT', `${PATH}/configuration`, { schedule: other }), 200)
  })

  it('does not stand in the way while costs cannot be read, and says so', async () => {
    await server.agent('/test/faults', { COSTS: 'throw' })
    const reply = await plan({ known: { ...KNOWN, interval: 30 } })
    await server.agent('/test/faults', {})
    expect(reply.json<{ warnings: object[] }>().warnings).toContainEqual({
      pointer: '/schedule',
      detail: 'costs cannot be read now: the budget was not checked',
    })
  })

  it('names what breaks a rule', async () => {
    const rules = {
      budget: { maxExecutionMs: 0, maxDailyMs: null, mode: 'block' },
      autoPause: { share: 1, minNodes: 1 },
    }
    const reply = await server.operator('PUT', `${PATH}/cost-rules`, rules)
    expect(problemOf(reply)).toEqual({
      status: 422,
      pointers: ['/budget/maxExecutionMs', '/autoPause/share'],
    })
  })
})
