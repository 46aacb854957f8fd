import { describe, expect, it } from 'vitest'
import { scheduledQueriesOf } from '../../src/config/scheduled-queries.ts'
import { budgetFindings } from '../../src/costs/budget.ts'
import { estimateOf, type EstimateCell } from '../../src/costs/estimate.ts'
import { figuresOf, ratingOf } from '../../src/costs/figures.ts'
import type { VersionSummary } from '../../src/costs/kinds.ts'
import { KnownCosts } from '../../src/costs/known.ts'
import { isOverShare, readRules } from '../../src/costs/rules.ts'
import { addDelta, emptyTally } from '../../src/costs/tally.ts'
import { versionOf } from '../../src/costs/version.ts'

const DAY_S = 86_400

/** What one node told of a day: so many executions, and CPU milliseconds of each. */
async function version(
  name: string,
  sql: string,
  intervalS: number,
  executions: number,
  cpuMs: number,
): Promise<VersionSummary> {
  const tally = emptyTally()
  const delta = {
    executions,
    userMs: executions * cpuMs,
    systemMs: 0,
    wallMs: 0,
    outputBytes: executions * 10,
  }
  addDelta(tally, 1, { delta, memoryBytes: 0, spanS: DAY_S })
  return { name, hash: await versionOf(sql, intervalS), intervalS, nodes: 1, denied: 0, seenS: 1, tally }
}

const queries = (schedule: Record<string, object>) => scheduledQueriesOf({ schedule })
const cell = (nodes: number, before: EstimateCell['before'], after: EstimateCell['after']): EstimateCell => ({
  nodes,
  family: 'linux',
  before,
  after,
})

describe("Fleet's scale", () => {
  it.each([
    [null, 'undetermined'],
    [0, 'minimal'],
    [1_999, 'minimal'],
    [2_000, 'considerable'],
    [3_999, 'considerable'],
    [4_000, 'excessive'],
  ] as const)('calls %s ms %s', (ms, rating) => {
    expect(ratingOf(ms)).toBe(rating)
  })
})

describe('figures', () => {
  it('are of a node and day, whatever time reports speak of', async () => {
    const { tally } = await version('a', 'SELECT 1', 60, 100, 30)
    expect(figuresOf(tally)).toMatchObject({
      executions: 100,
      perExecution: { cpuMs: { p50: 30, p95: 30, max: 30 } },
      perNodeAndDay: { executions: 100, userMs: 3_000, outputBytes: 1_000 },
    })
  })

  it('are none where nothing ran', () => {
    expect(figuresOf(emptyTally())).toEqual({
      executions: 0,
      perExecution: null,
      perNodeAndDay: null,
      rating: 'undetermined',
    })
  })
})

describe('an estimate', () => {
  it('takes what the same SQL cost, under any name and with any interval', async () => {
    const costs = new KnownCosts([await version('old', 'SELECT 1', 600, 144, 50)])
    const before = queries({ old: { query: 'SELECT 1', interval: 600 } })
    const after = queries({ new: { query: 'SELECT 1', interval: 60, snapshot: true } })
    const estimate = await estimateOf([cell(10, before, after)], costs)
    expect(estimate.queries).toMatchObject([
      {
        query: 'new',
        rating: 'minimal',
        before: { nodes: 0, cpuMs: 0 },
        after: { nodes: 10, executions: 14_400, cpuMs: 720_000, outputBytes: 144_000, lines: 14_400 },
      },
      {
        query: 'old',
        before: { nodes: 10, executions: 1_440, cpuMs: 72_000, lines: null },
        after: { nodes: 0 },
      },
    ])
    expect(estimate.after).toEqual({
      executions: 14_400,
      cpuMs: 720_000,
      outputBytes: 144_000,
      lines: 14_400,
      unknown: 0,
    })
  })

  it('says what is not known', async () => {
    const after = queries({ new: { query: 'SELECT 2', interval: 86_400 } })
    const estimate = await estimateOf([cell(3, [], after)], new KnownCosts([]))
    expect(estimate.queries).toEqual([
      {
        query: 'new',
        rating: 'undetermined',
        before: { nodes: 0, executions: 0, cpuMs: 0, outputBytes: 0, lines: 0 },
        after: { nodes: 3, executions: 3, cpuMs: null, outputBytes: null, lines: null },
      },
    ])
    expect(estimate.after).toMatchObject({ cpuMs: 0, unknown: 1 })
  })

  it('knows lines of what changes by the lines of before, as long as the name had that SQL only', async () => {
    const a = await version('a', 'SELECT 1', 60, 1_440, 1)
    const lines = new Map([['a', 7]])
    const query = { name: 'a', sql: 'SELECT 1', intervalS: 60, isSnapshot: false }
    expect((await new KnownCosts([a], lines).of(query))?.perNodeAndDay.lines).toBe(7)
    const other = await version('a', 'SELECT 2', 60, 1, 1)
    expect((await new KnownCosts([a, other], lines).of(query))?.perNodeAndDay.lines).toBeNull()
  })

  it('leaves out what is the same on as many nodes, and counts nodes that a platform or shard keeps away', async () => {
    const same = { query: 'SELECT 1', interval: 60 }
    const mac = { query: 'SELECT 2', interval: 60, platform: 'darwin' }
    const shard = { query: 'SELECT 3', interval: 60, shard: 50 }
    const estimate = await estimateOf(
      [cell(10, queries({ same }), queries({ same, mac, shard }))],
      new KnownCosts([]),
    )
    expect(estimate.queries).toMatchObject([{ query: 'shard', after: { nodes: 5 } }])
  })
})

describe('a budget', () => {
  const limits = { maxExecutionMs: 1_000, maxDailyMs: 10_000, mode: 'block' as const }

  it('names what goes over it, at its place, and whether that is new', async () => {
    const costs = new KnownCosts([
      await version('slow', 'SELECT 1', 86_400, 1, 5_000),
      await version('often', 'SELECT 2', 60, 1_440, 20),
      await version('fine', 'SELECT 3', 600, 144, 20),
    ])
    const slow = { query: 'SELECT 1', interval: 86_400 }
    const often = { query: 'SELECT 2', interval: 60 }
    const present = { document: JSON.stringify({ schedule: { slow } }), layers: [] }
    const layer = {
      name: 'linux',
      match: { platform: 'linux' as const },
      document: JSON.stringify({ schedule: { often } }),
    }
    const fine = { query: 'SELECT 3', interval: 600 }
    const wanted = {
      document: JSON.stringify({ schedule: { slow, fine, new: { query: 'SELECT 9' } } }),
      layers: [layer],
    }
    expect(await budgetFindings(present, wanted, limits, costs)).toEqual([
      {
        pointer: '/schedule/slow',
        detail: 'slow takes 5000 ms of CPU in one of 20 executions; the budget is 1000 ms',
        isOld: true,
      },
      {
        pointer: '/layers/linux/schedule/often',
        detail: 'often takes 28800 ms of CPU of a node and day; the budget is 10000 ms',
        isOld: false,
      },
    ])
  })

  it('finds no fault with a query that gets rarer, only with one that gets more frequent', async () => {
    const costs = new KnownCosts([await version('slow', 'SELECT 1', 600, 144, 5_000)])
    const every = (interval: number) => ({
      document: JSON.stringify({ schedule: { slow: { query: 'SELECT 1', interval } } }),
      layers: [],
    })
    const isOld = async (before: number, after: number) =>
      (await budgetFindings(every(before), every(after), limits, costs)).map((finding) => finding.isOld)
    expect(await isOld(600, 3_600)).not.toContain(false)
    expect(await isOld(600, 300)).toContain(false)
  })

  it('is read as it is stored, and is none where it makes no sense', () => {
    expect(readRules('{}')).toEqual({ budget: null, autoPause: null })
    expect(readRules('{"budget":{"mode":"shout"},"autoPause":{"share":"x"}}')).toEqual({
      budget: null,
      autoPause: null,
    })
    expect(readRules('{"budget":{"mode":"warn","maxDailyMs":5}}').budget).toEqual({
      mode: 'warn',
      maxDailyMs: 5,
      maxExecutionMs: null,
    })
  })
})

describe('too many nodes', () => {
  it.each([
    [100, 10, false],
    [100, 11, true],
    [10, 4, false],
    [0, 0, false],
  ])('of %i with %i on the denylist: %s', (nodes, denied, isOver) => {
    expect(isOverShare({ share: 0.1, minNodes: 5 }, nodes, denied)).toBe(isOver)
  })
})
