import { describe, expect, it } from 'vitest'
import { brownedOut, plannedBill, plannedRequests, type PlannedFleet } from '../../src/fleet/capacity-plan.ts'
import { RECOMMENDED_INTERVALS } from '../../src/fleet/intervals.ts'

const FLEET: PlannedFleet = {
  nodes: 1_000,
  intervals: RECOMMENDED_INTERVALS,
  lineBytesPerDay: 1.2e6,
  isolates: 1,
  port: 'queue',
  retentionDays: 90,
}

describe('requests', () => {
  it('are what the formula says, and what each endpoint gets', () => {
    const { perSecond, perDay, reads, configs, logs } = plannedRequests(FLEET)
    expect(perSecond).toBeCloseTo(23.33, 2)
    expect(perDay).toBe(2_016_000)
    expect(reads + configs + logs).toBeCloseTo(perSecond)
  })

  it('peak three times as high as there are nodes, unless they are splayed', () => {
    const { peak } = plannedRequests(FLEET)
    expect(peak.unsplayed).toBe(3_000)
    expect(peak.splayed).toBeLessThan(peak.unsplayed / 3)
  })

  it('wait half of an interval, in the middle', () => {
    expect(plannedRequests(FLEET).waitSeconds).toMatchObject({
      query: { median: 30, p95: 57 },
      configuration: { median: 150 },
    })
  })
})

describe('the bill', () => {
  it('of 1,000 and 10,000 nodes on one isolate is what the meter says: about 31 and 300 dollars', () => {
    expect(plannedBill(FLEET).totalDollars).toBeGreaterThan(28)
    expect(plannedBill(FLEET).totalDollars).toBeLessThan(34)
    const { totalDollars } = plannedBill({ ...FLEET, nodes: 10_000 })
    expect(totalDollars).toBeGreaterThan(270)
    expect(totalDollars).toBeLessThan(330)
  })

  it('is the sum of the plan and its items, each with its price and where that stands', () => {
    const { planDollars, items, totalDollars } = plannedBill(FLEET)
    expect(items.reduce((total, { dollars }) => total + dollars, planDollars)).toBeCloseTo(totalDollars)
    expect(items.map(({ item }) => item)).toContain('queue operations')
    for (const { price } of items) expect(price.source).toMatch(/pricing$/)
  })

  it('of no nodes is the plan', () => {
    expect(plannedBill({ ...FLEET, nodes: 0 }).totalDollars).toBeCloseTo(5, 1)
  })

  it('grows with what is kept, and shrinks in a brownout', () => {
    const { totalDollars } = plannedBill(FLEET)
    expect(plannedBill({ ...FLEET, retentionDays: 730 }).totalDollars).toBeGreaterThan(totalDollars)
    expect(plannedBill(brownedOut(FLEET, 4)).totalDollars).toBeLessThan(totalDollars / 2)
  })
})

describe('a brownout', () => {
  it('makes each interval so many times as long, up to a day', () => {
    expect(brownedOut(FLEET, 4).intervals).toEqual({
      config_tls_refresh: 1_200,
      distributed_interval: 240,
      logger_tls_period: 1_200,
    })
    const slow = { ...FLEET, intervals: { ...RECOMMENDED_INTERVALS, logger_tls_period: 80_000 } }
    expect(brownedOut(slow, 10).intervals.logger_tls_period).toBe(86_400)
  })
})
