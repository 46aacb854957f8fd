/**
 * How much of workerd's own speed is left for each agent route: requests/s and CPU time against an empty JSON handler in
 * the same isolate. Rounds alternate with rounds of the empty handler, so that whatever else this machine does hits both.
 */

import { LoadGenerator, postBytes, type LoadResult } from '../load.ts'
import { makeNodes } from '../nodes.ts'
import type { BenchOptions } from '../options.ts'
import { goal, rounded, table, type BenchResult, type Goal } from '../report.ts'
import { startBenchServer, type BenchServer } from '../server.ts'
import { median, percentile, spread, sum } from '../stats.ts'
import { useOf } from '../workerd-process.ts'
import { floorCases, type FloorCase } from './cases.ts'

/** Enough to keep workerd's one thread busy; more would only wait (and enroll takes twenty at once). */
const CONNECTIONS = 12
const NODES = 200
/** Of a round whose requests are made beforehand. */
const MAX_REQUESTS = 1_500

interface Round {
  perSecond: number
  /** CPU time of the workerd process for one request; NaN where it is not known. */
  cpuMs: number
  requests: number
  failures: number
}

interface Measured {
  name: string
  remark: string
  wanted: number | null
  rounds: Round[]
  /** The rounds of the empty handler that stood beside them. */
  floors: Round[]
}

export async function runFloor({ short }: BenchOptions): Promise<BenchResult> {
  const rounds = short ? 1 : 7
  const roundMs = short ? 150 : 400
  const server = await startBenchServer('test/bench/floor/entry.ts', [
    'queuePort',
    'alone',
    'aloneQueue',
    'floor',
  ])
  try {
    const cases = await floorCases(server, await makeNodes(server, NODES))
    const measured = [
      ...(await measure(server, cases.clean, { rounds, roundMs, leavesNothing: true })),
      ...(await measure(server, cases.trailing, { rounds, roundMs, leavesNothing: false })),
    ]
    console.log(floorTable(measured))
    return { bench: 'floor', goals: goalsOf(measured), details: measured.map(summary) }
  } finally {
    await server.close()
  }
}

async function measure(
  server: BenchServer,
  cases: readonly FloorCase[],
  { rounds, roundMs, leavesNothing }: { rounds: number; roundMs: number; leavesNothing: boolean },
): Promise<Measured[]> {
  const emptyUrl = await server.url('floor')
  const emptyRequest = postBytes(emptyUrl, '{}')
  const empty = await LoadGenerator.connect(emptyUrl, CONNECTIONS)
  const generators = await Promise.all(cases.map(({ url }) => LoadGenerator.connect(url, CONNECTIONS)))
  const measured = cases.map(({ name, remark = '', goal: wanted = null }): Measured => ({
    name,
    remark,
    wanted,
    rounds: [],
    floors: [],
  }))
  const oneFloor = async () => {
    // Not counted: the collector is still at work on what the round before left behind.
    await empty.run(() => emptyRequest, roundMs / 2)
    return round(server, () => empty.run(() => emptyRequest, roundMs))
  }
  // The first round of each is for the compiler; it is not counted.
  for (let i = 0; i <= rounds; i += 1) {
    let before = await oneFloor()
    for (const [at, { prepare }] of cases.entries()) {
      const next = await prepare(MAX_REQUESTS)
      const generator = generators[at]
      const own = measured[at]
      if (generator === undefined || own === undefined) continue
      // As before the empty handler's rounds: what ran before is still in the processor's caches and on the heap.
      if (leavesNothing) await generator.run(next, roundMs / 2)
      const taken = await round(server, () => generator.run(next, roundMs))
      const after = await oneFloor()
      if (i > 0) {
        own.rounds.push(taken)
        own.floors.push(mean(before, after))
      }
      before = after
    }
  }
  for (const generator of [empty, ...generators]) generator.close()
  return measured
}

async function round({ workerdPid }: BenchServer, run: () => Promise<LoadResult>): Promise<Round> {
  const before = useOf(workerdPid)?.cpuMs ?? Number.NaN
  const { requests, failures, seconds } = await run()
  const after = useOf(workerdPid)?.cpuMs ?? Number.NaN
  return { perSecond: requests / seconds, cpuMs: (after - before) / requests, requests, failures }
}

function mean(a: Round, b: Round): Round {
  return {
    perSecond: (a.perSecond + b.perSecond) / 2,
    cpuMs: (a.cpuMs + b.cpuMs) / 2,
    requests: a.requests + b.requests,
    failures: a.failures + b.failures,
  }
}

/** One ratio for each round, so that a disturbed round is one outlier and no more. */
function ratios({ rounds, floors }: Measured): number[] {
  return rounds.map((round, i) => round.perSecond / (floors[i] ?? round).perSecond)
}

/** CPU time of the quieter rounds: whatever else runs on a machine only ever adds to it. */
function quiet(rounds: readonly Round[]): number {
  return percentile(
    rounds.map(({ cpuMs }) => cpuMs),
    0.25,
  )
}

function summary(measured: Measured) {
  const { name, remark, rounds, floors } = measured
  const speed = ratios(measured)
  return {
    name,
    remark,
    perSecond: median(rounds.map(({ perSecond }) => perSecond)),
    cpuMs: quiet(rounds),
    ratio: median(speed),
    spread: spread(speed),
    cpuRatio: quiet(rounds) / quiet(floors),
    failures: sum(rounds.map(({ failures }) => failures)),
  }
}

function floorTable(measured: readonly Measured[]): string {
  const floors = measured.flatMap(({ floors }) => floors)
  const perSecond = median(floors.map((floor) => floor.perSecond))
  const cpuMs = quiet(floors)
  const rows = measured
    .map(summary)
    .map((row) => [
      row.name,
      String(Math.round(row.perSecond)),
      row.ratio.toFixed(2),
      `±${Math.round(row.spread * 100)} %`,
      row.cpuMs.toFixed(3),
      `${row.cpuRatio.toFixed(1)} ×`,
      row.remark,
    ])
  const empty = [
    'empty JSON handler',
    String(Math.round(perSecond)),
    '1.00',
    '',
    cpuMs.toFixed(3),
    '1.0 ×',
    '',
  ]
  const heads = ['route', 'requests/s', 'of floor', 'spread', 'CPU ms', 'of floor', 'remark']
  return `${table(heads, [empty, ...rows])}

${CONNECTIONS} kept connections, plain HTTP. CPU is that of the whole workerd process: HTTP, the Worker, and the local stand-ins
for D1, R2, queues and objects; the lower quartile of rounds. "Worker alone": R2 and queue answer at once, as they cost no CPU time of ours at Cloudflare.`
}

function goalsOf(measured: readonly Measured[]): Goal[] {
  const summaries = measured.map((row) => ({ ...summary(row), wanted: row.wanted }))
  const failures = sum(summaries.map((row) => row.failures))
  return [
    ...summaries.flatMap(({ name, ratio, cpuRatio, wanted }) => {
      if (wanted === null) return []
      // Who else uses the machine changes the CPU time of a request less than its throughput.
      const share = Number.isNaN(cpuRatio) ? ratio : 1 / cpuRatio
      return [goal(`${name}, by CPU time`, rounded(share), 'of the empty handler', '>=', wanted, false)]
    }),
    goal('replies that were no answer', failures, '', '<=', 0, true),
  ]
}
