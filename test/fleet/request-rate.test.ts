import { describe, expect, it } from 'vitest'
import { averageRate, busiestSecond } from '../../src/fleet/request-rate.ts'

describe('the average', () => {
  it.each([
    [10_000, [60, 300, 300], 233.33],
    [1_000, [60], 16.67],
    [0, [60, 300], 0],
    [10, [], 0],
  ])('of %i nodes at %j s is %d requests a second', (nodes, intervals, rate) => {
    expect(averageRate(nodes, intervals)).toBeCloseTo(rate, 2)
  })
})

describe('the busiest second after a common beginning', () => {
  it('is a request of each kind from every node, where nothing spreads them', () => {
    expect(busiestSecond(1_600, [60, 300, 300], false)).toBe(4_800)
  })

  it('is a fraction of that where 16 groups have intervals of their own', () => {
    const peak = busiestSecond(1_600, [60, 300, 300], true)
    expect(peak).toBeGreaterThanOrEqual(100)
    expect(peak).toBeLessThan(1_000)
  })

  it('is looked for as long as the longest interval lasts', () => {
    expect(busiestSecond(16, [86_400], false)).toBe(16)
    expect(busiestSecond(16, [86_400], true)).toBe(1)
  })
})
