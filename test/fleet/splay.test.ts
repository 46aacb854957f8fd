import { expect, it } from 'vitest'
import { SPLAY_BUCKETS, splayBucketOf, splayedInterval } from '../../src/fleet/splay.ts'

it.each([16, 100, 1_000, 100_000])('spreads %i nodes evenly: no bucket has twice its share', (nodes) => {
  const counts = Array.from({ length: SPLAY_BUCKETS }, () => 0)
  for (let ordinal = 0; ordinal < nodes; ordinal += 1) {
    const bucket = splayBucketOf(ordinal)
    counts[bucket] = (counts[bucket] ?? 0) + 1
  }
  expect(counts).toHaveLength(SPLAY_BUCKETS)
  expect(Math.max(...counts)).toBeLessThanOrEqual(Math.ceil((nodes / SPLAY_BUCKETS) * 2))
  expect(Math.min(...counts)).toBeGreaterThanOrEqual(nodes === 16 ? 0 : Math.floor(nodes / SPLAY_BUCKETS / 2))
})

it('puts neighbours apart', () => {
  for (let ordinal = 0; ordinal < 1_000; ordinal += 1) {
    expect(splayBucketOf(ordinal)).not.toBe(splayBucketOf(ordinal + 1))
  }
})

it('never changes: keys that agents hold name the bucket', () => {
  expect([0, 1, 2, 3, 999_999, 2 ** 32 - 1].map(splayBucketOf)).toEqual([9, 3, 13, 7, 15, 0])
})

const BUCKETS = Array.from({ length: SPLAY_BUCKETS }, (_, bucket) => bucket)

it('spreads an interval by a tenth to both sides, in whole seconds', () => {
  const spread = BUCKETS.map((bucket) => splayedInterval(300, bucket))
  expect([spread[0], spread.at(-1)]).toEqual([270, 330])
  expect(new Set(spread).size).toBe(SPLAY_BUCKETS)
  expect(spread.reduce((total, each) => total + each, 0) / SPLAY_BUCKETS).toBeCloseTo(300, 0)
  expect(spread).toEqual([270, 274, 278, 282, 286, 290, 294, 298, 302, 306, 310, 314, 318, 322, 326, 330])
})

it('never makes an interval 0, and never a shorter one of a longer one', () => {
  for (const bucket of BUCKETS) {
    for (let base = 0; base < 1_000; base += 1) {
      const here = splayedInterval(base, bucket)
      expect(Number.isInteger(here) && here >= 1).toBe(true)
      expect(splayedInterval(base + 1, bucket)).toBeGreaterThanOrEqual(here)
    }
  }
})

it('takes a bucket that only another Worker has', () => {
  expect(splayedInterval(60, 17)).toBe(splayedInterval(60, 1))
})
