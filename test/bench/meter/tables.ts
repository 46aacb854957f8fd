/** The meter's figures for people. */

import {
  costs,
  marginalCost,
  OBJECT_GB,
  PLAN_DOLLARS,
  PRICES,
  PRICES_READ_ON,
  totalCost,
  type Billed,
} from '../../../src/fleet/prices.ts'
import { rounded, table } from '../report.ts'
import { percentile } from '../stats.ts'
import { tallied } from './agents.ts'
import { FAST, fleetOf, SLOW, TARGET_LINE_BYTES, type Metered } from './compared.ts'
import {
  batchesPerSecond,
  firstWaitS,
  isolateCalls,
  ratesOf,
  usageOf,
  waitS,
  type Intervals,
  type Units,
} from '../../../src/fleet/cost-model.ts'
import type { TrafficCount } from './traffic.ts'
import { watchedHeadsPerHour, watchedReadsPerHour, type WatchedCount } from './watched.ts'

const SIZES = [1_000, 10_000, 100_000, 1_000_000]
/** Beyond this a fleet was not played in real time. */
const LARGEST_PLAYED = 10_000
/** A head is at most as old as T (2 s), and a refresh takes its time. */
const HEAD_AGE_S = 2
/** Targets of the query whose first answer is told. */
const FIRST_OF = 1_000
const WATCHED_NODES = 1_000

export function meterTables(metered: Metered): string {
  return [
    budgetTable(metered),
    trafficTable(metered),
    itemTable(metered),
    volumeTable(metered),
    isolateTable(metered),
    extrasTable(metered),
    remarks(metered),
  ].join('\n\n')
}

function heads(): string[] {
  return SIZES.map((nodes) => `${nodes.toLocaleString('en')}${nodes > LARGEST_PLAYED ? ' *' : ''}`)
}

function money(dollars: number): string {
  return dollars < 0.005 ? '0' : dollars < 10 ? dollars.toFixed(2) : Math.round(dollars).toLocaleString('en')
}

function budgetTable({ spent }: Metered): string {
  const cell = (value: number, budget: number) => `${rounded(value)} (<= ${budget})`
  return `Binding calls of one request, counted (and budget)\n${table(
    ['request', 'D1', 'objects', 'queue sends', 'R2 puts', 'counted'],
    spent.map((row) => [
      row.route,
      cell(row.d1, row.budget.d1),
      cell(row.objects, row.budget.objects),
      cell(row.sends, row.budget.sends),
      cell(row.puts, row.budget.puts),
      String(row.requests),
    ]),
  )}`
}

function trafficTable({ traffic }: Metered): string {
  const row = (count: TrafficCount) => {
    const model = isolateCalls(fleetOf(count.nodes, FAST, TARGET_LINE_BYTES, 'queue', count.isolates))
    const second = (scope: string, metric: string) => tallied(count.tally, scope, metric) / count.seconds
    const batches = batchesPerSecond(ratesOf({ nodes: count.nodes, intervals: FAST }).logs)
    const pair = (counted: number, modelled: number) => `${counted.toFixed(2)} / ${modelled.toFixed(2)}`
    return [
      `${count.nodes} nodes, ${count.isolates} isolates`,
      (count.requests / count.seconds).toFixed(1),
      pair(second('isolate', 'do Environment.head'), model.heads),
      pair(second('isolate', 'do Presence.flush'), model.flushes),
      pair(second('consumer', 'requests'), batches),
      `${Math.round(count.seconds)} s`,
    ]
  }
  return `A second in real time at 60/300/300 s: counted / model\n${table(
    ['fleet', 'requests', 'heads', 'flushes', 'batches', 'counted'],
    traffic.map(row),
  )}`
}

function itemTable({ units, isolates }: Metered): string {
  const usages = SIZES.map((nodes) =>
    usageOf(fleetOf(nodes, FAST, TARGET_LINE_BYTES, 'queue', isolates), units),
  )
  const rows = (Object.keys(PRICES) as Billed[])
    .map((key) => ({ key, dollars: usages.map((usage) => costs(usage)[key]) }))
    .filter(({ dollars }) => dollars.some((value) => value >= 0.005))
    .map(({ key, dollars }) => [PRICES[key].item, ...dollars.map(money)])
  return `$ a month by item: 1.2 MB of lines a node and day, 60/300/300 s, queue port, ${isolates} isolates\n${table(
    ['item', ...heads()],
    [
      ['plan', ...SIZES.map(() => money(PLAN_DOLLARS))],
      ...rows,
      ['all', ...usages.map((usage) => money(totalCost(usage)))],
    ],
  )}`
}

function volumeTable({ units, isolates, toArchiveMs, watched }: Metered): string {
  const archiveS = inSeconds(toArchiveMs)
  const watchedS = watched === null ? '-' : pairOf(inSeconds(watched.answeredMs))
  const rows = [FAST, SLOW].flatMap((intervals) =>
    [1e6, 10e6, 100e6].flatMap((lineBytes) =>
      (['queue', 'inbox'] as const).map((port) => [
        `${named(intervals)}, ${lineBytes / 1e6} MB, ${port}`,
        ...SIZES.map((nodes) =>
          money(totalCost(usageOf(fleetOf(nodes, intervals, lineBytes, port, isolates), units))),
        ),
        latency(waitS(intervals.logS), percentile(archiveS, 0.5), percentile(archiveS, 0.95)),
        latency(waitS(intervals.distributedS), HEAD_AGE_S / 2, HEAD_AGE_S),
        latency(firstWaitS(intervals.distributedS, FIRST_OF), HEAD_AGE_S / 2, HEAD_AGE_S),
        watchedS,
      ]),
    ),
  )
  const latencies = ['event to archive', 'query to answer, idle', `to first of ${FIRST_OF}, idle`, 'watched']
  return `$ a month by intervals (distributed/config/log), MB of lines a node and day, and ack port; ${isolates} isolates.
Beside it the latency that the same intervals give: median / p95 in seconds
${table(['', ...heads(), ...latencies], rows)}`
}

function named({ distributedS, configS, logS }: Intervals): string {
  return `${distributedS}/${configS}/${logS} s`
}

function latency({ median, p95 }: { median: number; p95: number }, half: number, most: number): string {
  return `${shown(median + half)} / ${shown(p95 + most)}`
}

function pairOf(samples: readonly number[]): string {
  return `${shown(percentile(samples, 0.5))} / ${shown(percentile(samples, 0.95))}`
}

function shown(seconds: number): string {
  return seconds < 10 ? seconds.toFixed(1) : String(Math.round(seconds))
}

function inSeconds(samplesMs: readonly number[]): number[] {
  return samplesMs.map((ms) => ms / 1_000)
}

function isolateTable({ units }: Metered): string {
  const rows = [FAST, SLOW].flatMap((intervals) =>
    [1, 100, 1_000].map((isolates) => [
      `${named(intervals)}, ${isolates} isolate${isolates === 1 ? '' : 's'}`,
      ...SIZES.map((nodes) =>
        money(totalCost(usageOf(fleetOf(nodes, intervals, TARGET_LINE_BYTES, 'queue', isolates), units))),
      ),
      String(
        Math.round(isolateCalls(fleetOf(1_000_000, intervals, TARGET_LINE_BYTES, 'queue', isolates)).heads),
      ),
    ]),
  )
  return `$ a month by isolates, 1.2 MB, queue port; the last column: calls/s of the Environment object at 1,000,000 nodes
${table(['', ...heads(), 'heads/s'], rows)}`
}

/** Polling alone: what the queries themselves cost stands beside it. */
function watchedHourDollars({ units, isolates }: Metered, watched: WatchedCount): number {
  const reads = watchedReadsPerHour(watched) * WATCHED_NODES
  const heads = watchedHeadsPerHour(watched) * isolates
  return marginalCost({
    workerRequests: reads,
    workerCpuMs: reads * units.cpuMs.read,
    objectRequests: heads,
    objectRowsRead: heads * units.head.rowsRead,
    objectGbSeconds: Math.min(3_600, (heads * units.head.activeMs) / 1_000) * OBJECT_GB,
  })
}

function extrasTable(metered: Metered): string {
  const { extras, watched } = metered
  const row = (name: string, dollars: number) => [name, `$${dollars.toPrecision(2)}`]
  return `On top, without what the plan includes\n${table(
    ['what', '$'],
    [
      row('a live query answered by 1,000 nodes', marginalCost(extras.answer) * 1_000),
      ...(watched === null
        ? []
        : [row(`an hour in which 1,000 nodes are watched`, watchedHourDollars(metered, watched))]),
      row('1,000 nodes enroll', marginalCost(extras.enroll) * 1_000),
      row('a carve of 1 GiB in blocks of 256 KiB', marginalCost(extras.carvedMib) * 1_024),
    ],
  )}`
}

function remarks({ units, isolates, toArchiveMs, query, watched }: Metered): string {
  const usage = usageOf(fleetOf(100_000, FAST, TARGET_LINE_BYTES, 'queue', isolates), units)
  const dollars = costs(usage)
  const [largest, second] = (Object.keys(PRICES) as Billed[]).sort((a, b) => dollars[b] - dollars[a])
  const share = (key: Billed | undefined) =>
    key === undefined ? '' : `${PRICES[key].item} (${Math.round((dollars[key] / totalCost(usage)) * 100)} %)`
  const { cpuMs } = units
  return [
    `*  extrapolated from what was counted; 1,000${query === null ? '' : ' and 10,000'} nodes were played in real time.`,
    `Largest items at 100,000 nodes: ${share(largest)}, ${share(second)}. Requests fall with longer intervals (accelerate`,
    'brings the latency back while somebody watches); queue operations with longer log intervals or fewer, larger POSTs.',
    `Two POSTs in each message would save $${money(savedByPairs(units, isolates))} of ${money(totalCost(usage))} at 100,000 nodes.`,
    `CPU ms of one request, whole process: read ${cpuMs.read.toFixed(3)}, config ${cpuMs.config.toFixed(3)}, log (queue) ${cpuMs.log.queue.toFixed(3)}, consumer of one POST ${cpuMs.consumerPerMessage.toFixed(2)} (local stand-ins included).`,
    `From POST to archive, measured: median ${seconds(toArchiveMs, 0.5)}, p95 ${seconds(toArchiveMs, 0.95)} of ${toArchiveMs.length} POSTs; the wait for the interval is computed.`,
    query === null
      ? 'From query to answer: computed from the interval and the age of a head (2 s); measured without --short.'
      : `From query to answer, measured with ${query.answeredMs.length} of ${query.nodes} nodes at 60 s, 100 isolates: first ${seconds(query.answeredMs, 0)}, median ${seconds(query.answeredMs, 0.5)}, p95 ${seconds(query.answeredMs, 0.95)}.`,
    watched === null ? 'Watched: measured without --short.' : watchedRemark(watched),
    'Rows of the index that go an hour after compaction are computed; all others are counted.',
    `Object time: from call to reply as the caller sees it, on this machine. R2 storage: 90 days. Prices of ${PRICES_READ_ON}:`,
    `${[...new Set(Object.values(PRICES).map(({ source }) => source))].join(', ')} (developers.cloudflare.com).`,
  ].join('\n')
}

function seconds(samplesMs: readonly number[], share: number): string {
  return `${(percentile(samplesMs, share) / 1_000).toFixed(1)} s`
}

function watchedRemark(watched: WatchedCount): string {
  const { queries, nodes, isolates, firstMs, answeredMs } = watched
  return `Watched, measured: ${queries} queries to ${nodes} accelerated nodes, ${isolates} isolates: first answer ${seconds(firstMs, 0.5)}, p95 ${seconds(firstMs, 0.95)}; a node's ${seconds(answeredMs, 0.5)}, p95 ${seconds(answeredMs, 0.95)}; ${rounded(watchedReadsPerHour(watched) / 60)} reads a node and minute.`
}

/** What half as many messages of twice the size would save: the consumer's batches, objects and rows halve with them. */
function savedByPairs(units: Units, isolates: number): number {
  const fleet = fleetOf(100_000, FAST, TARGET_LINE_BYTES, 'queue', isolates)
  const half = usageOf({ ...fleet, intervals: { ...FAST, logS: 2 * FAST.logS } }, units)
  const now = usageOf(fleet, units)
  // The agents' requests stay as they are, and so does what each costs.
  const { workerRequests, workerCpuMs } = now
  return totalCost(now) - totalCost({ ...half, workerRequests, workerCpuMs })
}
