/** What the meter compares, and what it hands to its tables. */

import type { Spent } from './budgets.ts'
import type { Extras } from './extras.ts'
import type { Fleet, Intervals, Port, Units } from '../../../src/fleet/cost-model.ts'
import type { QueryCount, TrafficCount } from './traffic.ts'
import type { WatchedCount } from './watched.ts'

/** Design 5: the intervals that are compared, and what a fleet of them is to cost at most, with 1.2 MB a node and day. */
export const FAST: Intervals = { distributedS: 60, configS: 300, logS: 300 }
export const SLOW: Intervals = { distributedS: 300, configS: 900, logS: 600 }
export const TARGET_LINE_BYTES = 1.2e6
export const TARGETS = [
  { intervals: FAST, name: '60/300/300 s', dollars: { 1_000: 31, 10_000: 300, 100_000: 3_000 } },
  { intervals: SLOW, name: '300/900/600 s', dollars: { 1_000: 12, 10_000: 104, 100_000: 1_050 } },
] as const

export interface Metered {
  spent: readonly Spent[]
  units: Units
  traffic: readonly TrafficCount[]
  query: QueryCount | null
  /** Queries while an operator watches; null: not measured. */
  watched: WatchedCount | null
  /** From log POSTs to lines that readers find. */
  toArchiveMs: readonly number[]
  extras: Extras
  /** Isolates that the cost tables are made for. */
  isolates: number
}

/** A fleet by what differs. */
export function fleetOf(
  nodes: number,
  intervals: Intervals,
  lineBytesPerDay: number,
  port: Port,
  isolates: number,
): Fleet {
  return { nodes, intervals, lineBytesPerDay, port, isolates }
}
