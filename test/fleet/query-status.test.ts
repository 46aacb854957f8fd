import { describe, expect, it } from 'vitest'
import { onlineForS } from '../../src/fleet/online.ts'
import { queryCounts, queryStatus, type QueryStatus } from '../../src/fleet/query-status.ts'

describe('queryStatus', () => {
  it.each<[QueryStatus, number, number, QueryStatus]>([
    ['open', 1, 1_000, 'open'],
    ['open', 2, 1_000, 'complete'],
    ['open', 2, 3_000, 'complete'],
    ['open', 1, 2_000, 'expired'],
    ['expired', 1, 1_000, 'expired'],
    ['expired', 2, 3_000, 'complete'],
    ['stopped', 2, 3_000, 'stopped'],
  ])('%s with %i of 2 answers at %i ms is %s', (status, answered, nowMs, shown) => {
    const counts = queryCounts(2, { answered, failed: 0 })
    expect(queryStatus({ status, expiresAtMs: 2_000 }, counts, nowMs)).toBe(shown)
  })

  it('never has less than nothing pending', () => {
    expect(queryCounts(1, { answered: 2, failed: 1 })).toEqual({
      targeted: 1,
      answered: 2,
      failed: 1,
      pending: 0,
    })
  })
})

describe('onlineForS', () => {
  it.each<[string | number | null, number]>([
    [null, 180],
    [10, 80],
    ['300', 660],
    ['x', 180],
    [0, 180],
    [-5, 180],
  ])('the interval %j makes %i s', (option, seconds) => {
    expect(onlineForS(option)).toBe(seconds)
  })
})
