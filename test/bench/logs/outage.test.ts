import { expect, it } from 'vitest'
import { rateOf } from './outage.ts'

it('a sink that keeps to its cap is not over it, however its batches bunch up', () => {
  const batch = (atMs: number) => Array.from({ length: 10 }, () => atMs)
  // A cap of 10 a second: a batch, then one each second; and the same where the first ones came late.
  expect(rateOf([...batch(0), ...batch(1_000), ...batch(2_000)], 0, 10)).toBe(10)
  expect(rateOf([...batch(1_900), ...batch(1_950), ...batch(2_000)], 0, 10)).toBe(10)
})
