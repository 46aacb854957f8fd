/** What is kept for how long: nodes that report no more, sums of days long ago. */

import { afterAll, beforeAll, expect, it } from 'vitest'
import { BATCH_FORMAT, DAY_S } from '../../src/costs/constants.ts'
import { NO_COUNTERS } from '../../src/costs/counters.ts'
import { costsStub, type CostBatch } from '../../src/costs/kinds.ts'
import { readCosts } from '../../src/costs/read.ts'
import { startServer, type TestServer } from '../support/harness.ts'

const DAY_MS = DAY_S * 1_000

let server: TestServer
beforeAll(async () => {
  server = await startServer({ entry: 'test/faults/clock-entry.ts' })
})
afterAll(() => server.close())

/** Days ago are set on the server's clock; the object's alarm is due at once then. */
const goTo = (daysAgo: number) => server.agent(`/test/clock?ms=${-daysAgo * DAY_MS}`, {})

function batchOf(ordinal: number, daysAgo: number): CostBatch {
  const atS = Math.floor(Date.now() / 1_000) - daysAgo * DAY_S
  const counters = { ...NO_COUNTERS, executions: 7, userMs: 70, lastExecutedS: atS }
  return {
    format: BATCH_FORMAT,
    queries: [{ name: `q-${ordinal}`, hash: 'a@60', intervalS: 60, isConfigured: true }],
    reports: [
      {
        ordinal,
        unixTimeS: atS,
        receivedS: atS,
        isWhole: true,
        queries: [{ query: 0, counters, memoryBytes: 0, denylisted: true }],
      },
    ],
    troubles: [],
  }
}

it('forgets nodes after eight days and sums after 32, and keeps what is younger', async () => {
  const id = crypto.randomUUID()
  const costs = costsStub(server.env, id, 0)
  const found = async () => {
    const request = { days: 32, nowMs: Date.now(), name: null, after: '', limit: 10 }
    const { nodes, versions } = await readCosts(server.env, id, 0, request)
    return {
      nodes,
      versions: versions.map(({ name, nodes: on, denied, tally }) => [name, on, denied, tally.executions]),
    }
  }
  for (const [ordinal, daysAgo] of [
    [1, 40],
    [2, 20],
    [3, 2],
  ] as const) {
    await goTo(daysAgo)
    await costs.take(batchOf(ordinal, daysAgo))
  }
  await goTo(0)
  await server.until(async () => (await found()).nodes === 1)
  expect(await found()).toEqual({
    nodes: 1,
    versions: [
      ['q-2', 0, 0, 7],
      ['q-3', 1, 1, 7],
    ],
  })
})
