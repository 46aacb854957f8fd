/**
 * What a live query costs its nodes, from the statistics that agents since 5.8.0 send with each answer (spec 2.5):
 * histograms that shards can add up, and the worst nodes. Pure.
 */

export const COST_METRICS = ['wallMs', 'userMs', 'systemMs', 'memoryBytes'] as const
export type CostMetric = (typeof COST_METRICS)[number]

/** The agents' names of them. */
const AGENT_NAMES: Record<CostMetric, string> = {
  wallMs: 'wall_time_ms',
  userMs: 'user_time',
  systemMs: 'system_time',
  memoryBytes: 'memory',
}

/** Nodes that are named for each metric. */
const WORST_NODES = 5
/** Values below are exact; above, eight buckets for each doubling: a quantile is off by 5 % at most. */
const EXACT_BELOW = 16
const BUCKETS_PER_DOUBLING = 8

export interface NodeCost {
  nodeId: string
  value: number
}

/** Values by bucket, ascending; what `bucketOf` says of a value. */
export interface HistogramBucket {
  bucket: number
  count: number
}

/** One metric of some answers; plain data, so that it travels between objects. */
export interface MetricTally {
  /** Bucket and how many answers are in it, ascending. */
  buckets: HistogramBucket[]
  /** The worst first. */
  worst: NodeCost[]
}

export type CostTally = Record<CostMetric, MetricTally>

export interface MetricSummary {
  p50: number
  p95: number
  worst: NodeCost[]
}

/** Null where no answer said anything of it. */
export type CostSummary = Record<CostMetric, MetricSummary | null>

export function emptyCost(): CostTally {
  return perMetric(() => ({ buckets: [], worst: [] }))
}

/** Adds one answer's statistics, the JSON object text that the agent sent. What is no number is left out. */
export function addCost(tally: CostTally, nodeId: string, stats: string): void {
  if (stats === '{}') return
  const said = JSON.parse(stats) as Record<string, unknown>
  for (const metric of COST_METRICS) {
    const value = Number(said[AGENT_NAMES[metric]] ?? Number.NaN)
    if (!Number.isFinite(value) || value < 0) continue
    addToBucket(tally[metric].buckets, bucketOf(value), 1)
    addWorst(tally[metric].worst, { nodeId, value })
  }
}

/** The tally of several. */
export function sumOfCosts(tallies: readonly CostTally[]): CostTally {
  const sum = emptyCost()
  for (const tally of tallies) {
    for (const metric of COST_METRICS) {
      for (const { bucket, count } of tally[metric].buckets) addToBucket(sum[metric].buckets, bucket, count)
      for (const node of tally[metric].worst) addWorst(sum[metric].worst, node)
    }
  }
  return sum
}

export function summaryOfCost(tally: CostTally): CostSummary {
  return perMetric((metric) => {
    const { buckets, worst } = tally[metric]
    const [most] = worst
    if (most === undefined) return null
    // A bucket's middle may lie above its only member.
    const at = (share: number) => Math.min(most.value, quantile(buckets, share))
    return { p50: at(0.5), p95: at(0.95), worst: [...worst] }
  })
}

function perMetric<T>(make: (metric: CostMetric) => T): Record<CostMetric, T> {
  return {
    wallMs: make('wallMs'),
    userMs: make('userMs'),
    systemMs: make('systemMs'),
    memoryBytes: make('memoryBytes'),
  }
}

/** The bucket of a value that is not negative. */
export function bucketOf(value: number): number {
  const whole = Math.round(value)
  if (whole < EXACT_BELOW) return whole
  return EXACT_BELOW + Math.floor(Math.log2(whole / EXACT_BELOW) * BUCKETS_PER_DOUBLING)
}

/** The value that a bucket stands for: its geometric middle. */
function valueOf(bucket: number): number {
  if (bucket < EXACT_BELOW) return bucket
  return Math.round(EXACT_BELOW * 2 ** ((bucket - EXACT_BELOW + 0.5) / BUCKETS_PER_DOUBLING))
}

export function addToBucket(buckets: HistogramBucket[], bucket: number, count: number): void {
  const index = buckets.findIndex((other) => other.bucket >= bucket)
  const found = buckets[index]
  if (found?.bucket === bucket) found.count += count
  else buckets.splice(index === -1 ? buckets.length : index, 0, { bucket, count })
}

function addWorst(worst: NodeCost[], node: NodeCost): void {
  const index = worst.findIndex(({ value }) => value < node.value)
  worst.splice(index === -1 ? worst.length : index, 0, node)
  worst.splice(WORST_NODES)
}

/** The value at or below which this share of the answers lies. */
export function quantile(buckets: readonly HistogramBucket[], share: number): number {
  const total = buckets.reduce((sum, { count }) => sum + count, 0)
  let below = 0
  for (const { bucket, count } of buckets) {
    below += count
    if (below >= total * share) return valueOf(bucket)
  }
  return 0
}
