import { describe, expect, it } from 'vitest'
import { onlineForS } from '../../src/fleet/online.ts'
import { queryCounts, queryStatus, type QueryStatus } from '../../src/fleet/query-status.ts'
import { NO_ANSWERS } from '../../src/queries/answer.ts'

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
    const query = { status, expiresAtMs: 2_000, targeted: 2 }
    const counts = queryCounts(query, { ...NO_ANSWERS, answered }, nowMs)
    expect(queryStatus(query, counts, nowMs)).toBe(shown)
  })

  it('is never complete while nodes that enroll later are asked', () => {
    const query = { status: 'open' as const, expiresAtMs: 2_000, targeted: 1, lateFrom: 7 }
    const counts = queryCounts(query, { ...NO_ANSWERS, answered: 1 }, 0)
    expect(queryStatus(query, counts, 1_000)).toBe('open')
    expect(queryStatus(query, counts, 2_000)).toBe('expired')
  })

  it('never has less than nothing pending', () => {
    const query = { status: 'open' as const, expiresAtMs: 2_000, targeted: 1 }
    const counts = queryCounts(query, { ...NO_ANSWERS, offered: 2, answered: 2, failed: 1 }, 0)
    expect(counts).toMatchObject({ targeted: 1, answered: 2, failed: 1, pending: 0, expired: 0 })
  })

  it('is complete when those that do not apply are all that is left', () => {
    const query = { status: 'open' as const, expiresAtMs: 2_000, targeted: 5 }
    const counts = queryCounts(query, { ...NO_ANSWERS, answered: 3, notApplicable: 2 }, 0)
    expect([counts.pending, queryStatus(query, counts, 0)]).toEqual([0, 'complete'])
  })

  it.each<[QueryStatus, number, number]>([
    ['open', 1_000, 0],
    ['open', 2_000, 3],
    ['expired', 2_500, 3],
    ['stopped', 2_500, 0],
  ])('counts the pending ones of a query that is %s at %i ms as expired: %i', (status, nowMs, expired) => {
    const query = { status, expiresAtMs: 2_000, targeted: 5 }
    expect(queryCounts(query, { ...NO_ANSWERS, answered: 2 }, nowMs)).toMatchObject({ pending: 3, expired })
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
