/**
 * What Cloudflare would bill for a fleet. Counted: binding calls, rows, operations, bytes. Multiplied: by the mix of a
 * fleet's requests, by isolates, by a month. Extrapolated: fleets that no laptop can play in real time.
 */

import type { BenchOptions } from '../options.ts'
import { insertNodes, makeNodes, type BenchNode } from '../nodes.ts'
import { goal, type BenchResult, type Goal } from '../report.ts'
import { startBenchServer } from '../server.ts'
import { tallied, MeterAgents } from './agents.ts'
import { budgetGoals, countBudgets } from './budgets.ts'
import { measureCompaction } from './compaction.ts'
import { FAST, fleetOf, TARGET_LINE_BYTES, TARGETS, type Metered } from './compared.ts'
import { measureConsumer, measureCpu, measurePosts } from './measure.ts'
import { totalCost } from '../../../src/fleet/prices.ts'
import { isolateCalls, usageOf, type Port, type Units } from '../../../src/fleet/cost-model.ts'
import { extrasOf, type Extras } from './extras.ts'
import { countQuery, countTraffic, type TrafficCount } from './traffic.ts'
import { meterTables } from './tables.ts'
import { countWatched } from './watched.ts'

/** Line bytes of the POSTs that are measured: 1, 10 and 100 MB a day at 300 s, and 100 MB at 600 s. */
const POST_SIZES = [3_500, 35_000, 350_000, 700_000]

export async function runMeter({ short, isolates }: BenchOptions): Promise<BenchResult> {
  const server = await startBenchServer('test/bench/meter/entry.ts', ['alone', 'aloneQueue'])
  try {
    const nodes = await makeNodes(server, short ? 1_000 : 10_000)
    await insertNodes(server, nodes)
    const agents = new MeterAgents(server, await server.url())
    const cpu = await measureCpu(server, nodes, short ? 1 : 5)
    const spent = await countBudgets(agents, nodes)
    const { units, extras } = await measureUnits(agents, nodes, cpu, short)
    const traffic: TrafficCount[] = []
    for (const count of short ? isolates.slice(0, 2).slice(-1) : isolates)
      traffic.push(await countTraffic(agents, trafficOf(nodes.slice(0, 1_000), count, short)))
    if (!short) traffic.push(await countTraffic(agents, trafficOf(nodes, 100, short)))
    const query = short ? null : await countQuery(agents, nodes.slice(0, 1_000), 100, FAST.distributedS)
    const watched = short ? null : await countWatched(agents, nodes.slice(0, 100), 10, 6)
    const played = traffic.flatMap(({ toArchiveMs }) => toArchiveMs)
    const metered: Metered = {
      spent,
      units,
      traffic,
      query,
      watched,
      extras,
      toArchiveMs: played.length > 0 ? played : agents.toArchiveMs,
      isolates: isolates.length === 1 ? (isolates[0] ?? 1) : 100,
    }
    console.log(meterTables(metered))
    return { bench: 'meter', goals: goalsOf(metered, agents.failures), details: metered }
  } finally {
    await server.close()
  }
}

function trafficOf(nodes: readonly BenchNode[], isolates: number, short: boolean) {
  return {
    nodes,
    isolates,
    intervals: FAST,
    lineBytesPerPost: 4_000,
    port: 'queue' as Port,
    // A flush comes each 15 s: before that, isolates that were warmed together flush together.
    warmUpS: short ? 1 : 16,
    countedS: short ? 4 : 45,
  }
}

async function measureUnits(
  agents: MeterAgents,
  nodes: readonly BenchNode[],
  cpu: Omit<Units['cpuMs'], 'consumerPerMessage'>,
  short: boolean,
): Promise<{ units: Units; extras: Extras }> {
  const { posts, storedShare, consumerShare } = await measurePosts(
    agents,
    nodes.slice(0, short ? 5 : 20),
    POST_SIZES,
  )
  const { cpuMsPerMessage, ...consumer } = await measureConsumer(agents, nodes, cpu.log.queue)
  const calls = await measureIsolateCalls(agents, nodes)
  const background = await measureBackground(agents)
  const compaction = await measureCompaction(agents, nodes)
  const cpuMs = { ...cpu, consumerPerMessage: cpuMsPerMessage }
  const units = { cpuMs, posts, storedShare, consumerShare, consumer, compaction, ...calls, background }
  return { units, extras: await extrasOf(agents, nodes) }
}

/** What one refresh of the head and one flush cost their objects: fresh isolates do both. */
async function measureIsolateCalls(
  agents: MeterAgents,
  nodes: readonly BenchNode[],
): Promise<Pick<Units, 'head' | 'flush'>> {
  await agents.take()
  const count = 20
  for (const [i, node] of nodes.slice(0, count).entries()) await agents.read(node, { isolate: 100_000 + i })
  const { tally } = await agents.take()
  const heads = tallied(tally, 'isolate', 'do Environment.head')
  const flushes = tallied(tally, 'isolate', 'do Presence.flush')
  return {
    head: {
      rowsRead: tallied(tally, 'object Environment.head', 'sql.rowsRead') / heads,
      activeMs: tallied(tally, 'object Environment', 'activeMs') / heads,
    },
    flush: { activeMs: tallied(tally, 'object Presence', 'activeMs') / flushes },
  }
}

/** One tick of the cron trigger with nothing to do; what the alarms do is written down in their objects' files. */
async function measureBackground(agents: MeterAgents): Promise<Units['background']> {
  await agents.take()
  await agents.server.tick()
  const { tally } = await agents.take()
  return {
    workerRequestsPerMinute: tallied(tally, 'cron', 'requests'),
    r2ClassAPerMinute: tallied(tally, 'cron', 'r2.a'),
    // Environment and Directory reconcile each five minutes: an alarm and its next setting each, one copy to R2; and one
    // asks the other for brownouts.
    objectRequestsPerFiveMinutes: 3,
    rowsWrittenPerFiveMinutes: 2,
    r2ClassAPerFiveMinutes: 1,
  }
}

/** The targets' model knows no isolates: one decides, what more of them add is told beside it. */
const DECIDING_ISOLATES = 1
/** Larger fleets are extrapolated from those that were played: their cost is told. */
const LARGEST_DECIDING = 10_000

function goalsOf({ spent, units, traffic, isolates }: Metered, failures: number): Goal[] {
  const perIsolate = traffic.flatMap((count) => {
    const rate = (call: string, windowS: number) =>
      tallied(count.tally, 'isolate', `do ${call}`) /
      count.isolates /
      (Math.ceil(count.seconds / windowS) + 1)
    const name = `${count.isolates} isolates`
    return [
      goal(`presence, ${name}`, rate('Presence.flush', 15), 'flushes in 15 s', '<=', 1, true),
      goal(`enrolls counted, ${name}`, rate('Directory.noteEnrolls', 60), 'calls a minute', '<=', 1, true),
    ]
  })
  return [
    ...budgetGoals(spent),
    ...perIsolate,
    ...[...new Set([DECIDING_ISOLATES, isolates])].flatMap((count) => costGoals(units, count)),
    ...modelGoals(traffic),
    goal('replies that were no answer', failures, '', '<=', 0, true),
  ]
}

/**
 * The targets are for moving lines, not for keeping them: how long is the operator's choice. What decides has counts alone
 * in it, which are the same in every run; CPU and object time are a busy machine's too, and told with the rest.
 */
function costGoals(units: Units, isolates: number): Goal[] {
  return TARGETS.flatMap(({ intervals, name, dollars }) =>
    Object.entries(dollars).flatMap(([nodes, wanted]) => {
      const usage = usageOf(fleetOf(Number(nodes), intervals, TARGET_LINE_BYTES, 'queue', isolates), units)
      const title = `${Number(nodes).toLocaleString('en')} nodes, ${name}, ${isolates} isolate${isolates === 1 ? '' : 's'}`
      const moving = { ...usage, r2GbMonths: 0 }
      const all = goal(title, totalCost(moving), '$/month', '<=', wanted, false)
      if (isolates !== DECIDING_ISOLATES || Number(nodes) > LARGEST_DECIDING) return [all]
      const counted = totalCost({ ...moving, workerCpuMs: 0, objectGbSeconds: 0 })
      return [all, goal(`${title}, counts alone`, counted, '$/month', '<=', wanted, true)]
    }),
  )
}

/** How far the model is from what was counted, where it was counted long enough to tell. */
function modelGoals(traffic: readonly TrafficCount[]): Goal[] {
  return traffic
    .filter(({ seconds }) => seconds > 30)
    .map((count) => {
      const model = isolateCalls(fleetOf(count.nodes, FAST, TARGET_LINE_BYTES, 'queue', count.isolates))
      const counted = tallied(count.tally, 'isolate', 'do ') / count.seconds
      const share = Math.abs(counted / (model.heads + model.flushes) - 1)
      const title = `model of ${count.nodes} nodes, ${count.isolates} isolates is off by`
      return goal(title, share, 'of what was counted', '<=', 0.25, false)
    })
}
