/** How many requests a second a fleet makes: on average, and at worst after all of it began together. Pure. */

import { SPLAY_BUCKETS, splayedInterval } from './splay.ts'

/** The average as osctrl computes it: in one of the longest intervals a node makes `highest / each` requests of each kind. */
export const RATE_FORMULA = 'nodes * sum(highest_interval / each_interval) / highest_interval'

/** Requests a second of so many nodes, each of which makes one request in each of these intervals (seconds). */
export function averageRate(nodes: number, intervalsS: readonly number[]): number {
  if (intervalsS.length === 0) return 0
  const highest = Math.max(...intervalsS)
  const inHighest = intervalsS.reduce((total, each) => total + highest / each, 0)
  return (nodes * inHighest) / highest
}

/** Looked at is the hour after the common beginning, or as long as every agent needs to come once. */
const HOUR_S = 3_600

/**
 * The busiest second after all nodes began in the same one (a power cut, the end of an outage), that second itself left
 * out. osqueryd sleeps exactly its interval and has no jitter (spec 8, 28), so without splay such nodes stay together.
 */
export function busiestSecond(nodes: number, intervalsS: readonly number[], splayed: boolean): number {
  const whole = intervalsS.map((seconds) => Math.max(1, Math.round(seconds)))
  const seconds = Math.max(HOUR_S, ...whole.map((each) => splayedInterval(each, SPLAY_BUCKETS - 1)))
  const requests = new Float64Array(seconds + 1)
  const buckets = splayed ? SPLAY_BUCKETS : 1
  for (let bucket = 0; bucket < buckets; bucket += 1) {
    for (const each of whole) {
      const step = splayed ? splayedInterval(each, bucket) : each
      for (let atS = step; atS <= seconds; atS += step) requests[atS] = (requests[atS] ?? 0) + nodes / buckets
    }
  }
  return Math.ceil(requests.reduce((most, each) => Math.max(most, each), 0))
}
