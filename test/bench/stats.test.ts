import { describe, expect, it } from 'vitest'
import { median, percentile, spread } from './stats.ts'

describe('percentile', () => {
  it.each([
    [[1, 2, 3], 0.5, 2],
    [[3, 1, 2, 4], 0.5, 2.5],
    [[10], 0.95, 10],
    [[0, 100], 0.95, 95],
    [[1, 2, 3], 0, 1],
    [[1, 2, 3], 1, 3],
  ])('of %j at %j is %j', (samples, share, value) => {
    expect(percentile(samples, share)).toBeCloseTo(value)
  })

  it('of nothing is not a number', () => {
    expect(median([])).toBeNaN()
  })
})

describe('spread', () => {
  it('is nothing where all agree, and a share of the median where they do not', () => {
    expect(spread([5, 5, 5])).toBe(0)
    expect(spread([8, 9, 10, 11, 12])).toBeCloseTo(0.1)
  })
})
