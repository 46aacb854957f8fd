/**
 * What a version of a scheduled query came to on many nodes: sums, the spread over its executions - each taken as the
 * average of its node's report - and the nodes where one costs most. Tallies add up. Pure.
 */

import { addToBucket, bucketOf, quantile, type HistogramBucket } from '../fleet/query-cost.ts'
import { cpuMsOf, type Delta } from './counters.ts'

export const TALLY_METRICS = ['cpuMs', 'wallMs', 'memoryBytes', 'outputBytes'] as const
export type TallyMetric = (typeof TALLY_METRICS)[number]

export interface Spread {
  max: number
  /** Bucket and how many executions are in it, ascending. */
  buckets: HistogramBucket[]
}

/** CPU time of one execution on a node. */
export interface WorstNode {
  ordinal: number
  cpuMs: number
  executions: number
}

export interface QueryTally extends Delta {
  /** Reports that had executions. */
  reports: number
  /** The time that all reports speak of, of each node on its own. */
  spanS: number
  /** Error lines about this name; in a tally of the name, not of a version. */
  errors: number
  spreads: Record<TallyMetric, Spread>
  /** The worst first, each node once. */
  worst: WorstNode[]
}

export const MAX_WORST = 10

export function emptyTally(): QueryTally {
  return {
    executions: 0,
    userMs: 0,
    systemMs: 0,
    wallMs: 0,
    outputBytes: 0,
    reports: 0,
    spanS: 0,
    errors: 0,
    spreads: {
      cpuMs: { max: 0, buckets: [] },
      wallMs: { max: 0, buckets: [] },
      memoryBytes: { max: 0, buckets: [] },
      outputBytes: { max: 0, buckets: [] },
    },
    worst: [],
  }
}

/** Adds what one report of a node says. */
export function addDelta(
  tally: QueryTally,
  ordinal: number,
  { delta, memoryBytes, spanS }: { delta: Delta; memoryBytes: number; spanS: number },
): void {
  addSums(tally, delta)
  tally.spanS += spanS
  const { executions } = delta
  if (executions === 0) return
  tally.reports += 1
  const cpuMs = Math.round(cpuMsOf(delta) / executions)
  addToSpread(tally.spreads.cpuMs, cpuMs, executions)
  addToSpread(tally.spreads.wallMs, delta.wallMs / executions, executions)
  addToSpread(tally.spreads.memoryBytes, memoryBytes, executions)
  addToSpread(tally.spreads.outputBytes, delta.outputBytes / executions, executions)
  addWorst(tally.worst, { ordinal, cpuMs, executions })
}

/** Adds another tally. */
export function addTally(tally: QueryTally, other: QueryTally): void {
  addSums(tally, other)
  tally.reports += other.reports
  tally.spanS += other.spanS
  tally.errors += other.errors
  for (const metric of TALLY_METRICS) {
    const spread = tally.spreads[metric]
    spread.max = Math.max(spread.max, other.spreads[metric].max)
    for (const { bucket, count } of other.spreads[metric].buckets) addToBucket(spread.buckets, bucket, count)
  }
  for (const node of other.worst) addWorst(tally.worst, node)
}

/** The value at or below which this share of the executions lies; null where there was none. */
export function quantileOf({ max, buckets }: Spread, share: number): number | null {
  // A bucket's middle may lie above its only member.
  return buckets.length === 0 ? null : Math.min(max, quantile(buckets, share))
}

function addSums(tally: QueryTally, delta: Delta): void {
  tally.executions += delta.executions
  tally.userMs += delta.userMs
  tally.systemMs += delta.systemMs
  tally.wallMs += delta.wallMs
  tally.outputBytes += delta.outputBytes
}

function addToSpread(spread: Spread, value: number, count: number): void {
  const whole = Math.round(value)
  spread.max = Math.max(spread.max, whole)
  addToBucket(spread.buckets, bucketOf(whole), count)
}

/** Ascending ordinals decide between equals, so that the order of adding does not. */
function addWorst(worst: WorstNode[], node: WorstNode): void {
  const known = worst.findIndex(({ ordinal }) => ordinal === node.ordinal)
  if (known !== -1) {
    if ((worst[known]?.cpuMs ?? 0) >= node.cpuMs) return
    worst.splice(known, 1)
  }
  const isAfter = (other: WorstNode) =>
    other.cpuMs < node.cpuMs || (other.cpuMs === node.cpuMs && other.ordinal > node.ordinal)
  const index = worst.findIndex(isAfter)
  worst.splice(index === -1 ? worst.length : index, 0, node)
  worst.splice(MAX_WORST)
}
