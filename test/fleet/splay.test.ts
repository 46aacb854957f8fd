import { expect, it } from 'vitest'
import { SPLAY_BUCKETS, splayBucketOf } from '../../src/fleet/splay.ts'

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
