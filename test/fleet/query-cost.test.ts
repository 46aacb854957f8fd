import { describe, expect, it } from 'vitest'
import { addCost, emptyCost, sumOfCosts, summaryOfCost } from '../../src/fleet/query-cost.ts'

function tallyOf(from: number, to: number) {
  const tally = emptyCost()
  for (let value = from; value <= to; value += 1)
    addCost(tally, `n${value}`, JSON.stringify({ wall_time_ms: value, user_time: 3, memory: value * 1_024 }))
  return tally
}

describe('the cost of a query', () => {
  it('is p50, p95 and the worst nodes of each metric', () => {
    const { wallMs, userMs, systemMs, memoryBytes } = summaryOfCost(tallyOf(1, 1_000))
    expect(wallMs?.p50).toBeGreaterThan(475)
    expect(wallMs?.p50).toBeLessThan(525)
    expect(wallMs?.p95).toBeGreaterThan(900)
    expect(wallMs?.p95).toBeLessThan(1_000)
    expect(wallMs?.worst.map(({ nodeId }) => nodeId)).toEqual(['n1000', 'n999', 'n998', 'n997', 'n996'])
    expect(userMs).toMatchObject({ p50: 3, p95: 3 })
    expect(systemMs).toBeNull()
    expect(memoryBytes?.worst[0]?.value).toBe(1_024_000)
  })

  it('adds up over shards to what one would have', () => {
    const sum = sumOfCosts([tallyOf(1, 500), tallyOf(501, 1_000)])
    expect(summaryOfCost(sum)).toEqual(summaryOfCost(tallyOf(1, 1_000)))
  })

  it('of one answer is that answer', () => {
    expect(summaryOfCost(tallyOf(70, 70)).wallMs).toEqual({
      p50: 70,
      p95: 70,
      worst: [{ nodeId: 'n70', value: 70 }],
    })
  })

  it.each(['{}', '{"wall_time_ms":"soon"}', '{"wall_time_ms":-1}', '{"memory":null,"user_time":[1,2]}'])(
    'leaves %s out',
    (stats) => {
      const tally = emptyCost()
      addCost(tally, 'n', stats)
      expect(summaryOfCost(tally)).toEqual({ wallMs: null, userMs: null, systemMs: null, memoryBytes: null })
    },
  )
})
