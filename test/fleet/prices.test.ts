import { describe, expect, it } from 'vitest'
import { costOf, marginalCost, noUsage, PRICES, totalCost } from '../../src/fleet/prices.ts'

describe('prices', () => {
  it('the plan is what an idle account pays', () => {
    expect(totalCost(noUsage())).toBe(5)
  })

  it('what the plan includes costs nothing, and only what is beyond is charged', () => {
    expect(costOf('workerRequests', 10_000_000)).toBe(0)
    expect(costOf('workerRequests', 11_000_000)).toBeCloseTo(0.3)
    expect(costOf('r2GbMonths', 110)).toBeCloseTo(1.5)
  })

  it('a thousand nodes at 60/300/300 s as the cost model has them: 31 dollars', () => {
    const requests = 60.48e6
    const usage = {
      ...noUsage(),
      workerRequests: requests,
      workerCpuMs: requests,
      queueOperations: 8.64e6 * 3,
    }
    expect(Math.round(totalCost(usage))).toBe(31)
  })

  it('an object that is always at work costs about four dollars', () => {
    expect(marginalCost({ objectGbSeconds: 30 * 86_400 * 0.128 })).toBeCloseTo(4.15, 2)
  })

  it('every price says where it comes from', () => {
    for (const { source } of Object.values(PRICES)) expect(source).toMatch(/pricing$/)
  })
})
