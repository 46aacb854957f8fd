import { describe, expect, it } from 'vitest'
import { watchedHeadsPerHour, watchedReadsPerHour, type WatchedCount } from './watched.ts'

const COUNT: WatchedCount = {
  tally: { 'request distributed/read|requests': 110, 'isolate|do Environment.head': 240, 'cron|requests': 7 },
  toArchiveMs: [],
  nodes: 20,
  isolates: 2,
  seconds: 60,
  queries: 1,
  answeredMs: [200],
  firstMs: [200],
}

describe('an hour of watching', () => {
  it('is as many reads of a node as it made in the time that was counted', () => {
    expect(watchedReadsPerHour(COUNT)).toBeCloseTo(5.5 * 60)
  })

  it('is two refreshes of the head a second for each isolate that holds reads', () => {
    expect(watchedHeadsPerHour(COUNT)).toBeCloseTo(2 * 3_600)
  })
})
