/** Environments of more nodes than one object has, and nodes that report whatever they like. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { COST_QUERY_NAME } from '../../src/config/built-in.ts'
import {
  BATCH_FORMAT,
  MAX_UNCONFIGURED,
  MAX_VERSIONS,
  ORDINALS_PER_OBJECT,
} from '../../src/costs/constants.ts'
import { CostWatch } from '../../src/costs/cost-watch.ts'
import { NO_COUNTERS } from '../../src/costs/counters.ts'
import { costsStub, type CostBatch } from '../../src/costs/kinds.ts'
import { costsOfMembers, readCosts, readDeniedNodes } from '../../src/costs/read.ts'
import { NodeSet } from '../../src/fleet/node-set.ts'
import { utf8 } from '../../src/lib/bytes.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { costLine } from './support.ts'

const nowMs = Date.now()
const nowS = Math.floor(nowMs / 1_000)
const HOUR_S = 3_600
const HIGHEST = 2 * ORDINALS_PER_OBJECT + 5

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

interface Given {
  name: string
  hash?: string
  executions: number
  denylisted?: boolean
  isConfigured?: boolean
}

/** What one node reports of `hoursAgo`. */
function batchOf(ordinal: number, hoursAgo: number, given: readonly Given[]): CostBatch {
  const atS = nowS - hoursAgo * HOUR_S
  return {
    format: BATCH_FORMAT,
    queries: given.map(({ name, hash = 'a@60', isConfigured = true }) => ({
      name,
      hash,
      intervalS: 60,
      isConfigured,
    })),
    reports: [
      {
        ordinal,
        unixTimeS: atS,
        receivedS: atS,
        isWhole: true,
        queries: given.map(({ executions, denylisted = false }, query) => ({
          query,
          counters: { ...NO_COUNTERS, executions, userMs: 100 * executions, lastExecutedS: atS },
          memoryBytes: ordinal,
          denylisted,
        })),
      },
    ],
    troubles: [],
  }
}

const take = (environmentId: string, ordinal: number, batch: CostBatch) =>
  costsStub(server.env, environmentId, ordinal).take(batch)

const listed = (environmentId: string, after = '', limit = 100) =>
  readCosts(server.env, environmentId, HIGHEST, { days: 7, nowMs, name: null, after, limit })

describe('an environment of several objects', () => {
  it('is read as one: sums, pages, nodes, members', async () => {
    const id = crypto.randomUUID()
    for (const ordinal of [3, ORDINALS_PER_OBJECT + 1, HIGHEST]) {
      const own = { name: `only-${ordinal}`, executions: 1 }
      await take(id, ordinal, batchOf(ordinal, 5, [{ name: 'q', executions: 10 }, own]))
      const denied = { name: 'q', executions: 20, denylisted: ordinal !== 3 }
      await take(id, ordinal, batchOf(ordinal, 1, [denied, { ...own, executions: 2 }]))
    }
    const { versions, nodes, isMore } = await listed(id)
    expect([nodes, isMore]).toEqual([3, false])
    expect(versions.find(({ name }) => name === 'q')).toMatchObject({
      nodes: 3,
      denied: 2,
      tally: {
        executions: 60,
        reports: 6,
        worst: [{ ordinal: 3 }, { ordinal: ORDINALS_PER_OBJECT + 1 }, { ordinal: HIGHEST }],
      },
    })
    const first = await listed(id, '', 2)
    expect([first.versions.map(({ name }) => name), first.isMore]).toEqual([['only-16385', 'only-3'], true])
    const second = await listed(id, 'only-3', 2)
    expect([second.versions.map(({ name }) => name), second.isMore]).toEqual([['only-32773', 'q'], false])
    const denied = await readDeniedNodes(server.env, id, HIGHEST, 'q', 100)
    expect(denied.map(({ ordinal }) => ordinal)).toEqual([ORDINALS_PER_OBJECT + 1, HIGHEST])
    const time = { sinceMs: nowMs - 3 * HOUR_S * 1_000, untilMs: nowMs }
    const members = await costsOfMembers(server.env, id, HIGHEST, NodeSet.of([3, HIGHEST]), time)
    expect(members).toMatchObject({ nodes: 2, denylisted: [{ query: 'q', nodes: 1 }] })
    expect(await costsOfMembers(server.env, id, HIGHEST, null, time)).toMatchObject({ nodes: 3 })
    expect(await costsOfMembers(server.env, id, HIGHEST, new NodeSet(), time)).toMatchObject({ nodes: 0 })
  })
})

describe('a node that reports whatever it likes', () => {
  it('cannot take the place of queries that the configuration has', async () => {
    const id = crypto.randomUUID()
    const junk = Array.from({ length: 2_000 }, (_, index) => ({
      name: `junk-${index}`,
      executions: 1,
      isConfigured: false,
    }))
    await take(id, 0, batchOf(0, 5, junk))
    await take(id, 1, batchOf(1, 4, [{ name: 'real', executions: 1 }]))
    const { versions } = await listed(id, '', 5_000)
    expect(versions).toHaveLength(MAX_UNCONFIGURED + 1)
    expect(versions.find(({ name }) => name === 'real')).toMatchObject({ nodes: 1 })
  })

  it('cannot make versions of one without end', async () => {
    const id = crypto.randomUUID()
    const many = Array.from({ length: 200 }, (_, index) => ({
      name: 'q',
      hash: `${index}@60`,
      executions: 1,
    }))
    await take(id, 0, batchOf(0, 5, many))
    expect((await listed(id)).versions).toHaveLength(MAX_VERSIONS)
  })

  it('of a format that is not known is not taken', async () => {
    const id = crypto.randomUUID()
    const batch = batchOf(0, 5, [{ name: 'q', executions: 1 }])
    await expect(take(id, 0, { ...batch, format: BATCH_FORMAT + 1 })).rejects.toThrow()
    expect((await listed(id)).versions).toEqual([])
  })
})

it('an object that fails keeps nothing from the others of a batch', async () => {
  const [bad, ...good] = Array.from({ length: 8 }, () => crypto.randomUUID())
  const away = { take: () => Promise.reject(new Error('away')) }
  const COSTS = {
    getByName: (name: string) => (name.startsWith(String(bad)) ? away : server.env.COSTS.getByName(name)),
  } as unknown as Env['COSTS']
  const watch = new CostWatch({ ...server.env, COSTS })
  for (const environmentId of [String(bad), ...good]) {
    const line = costLine(nowS - HOUR_S, [{ name: 'q', executions: 3 }])
    const node = { nodeId: crypto.randomUUID(), ordinal: 1, platform: 'linux' }
    const origin = { environmentId, ...node, receivedAtMs: nowMs }
    watch.see({ type: 'snapshot', name: COST_QUERY_NAME, origin, index: 0, bytes: utf8(line) })
  }
  await watch.finish()
  for (const id of good) expect((await listed(id)).nodes).toBe(1)
})
