/**
 * Whether a node costs the same in a small fleet and in a large one: equal work for each node - a configuration, two
 * distributed reads, one log POST of ten lines - counted as Cloudflare bills it, with CPU time and memory beside it.
 */

import { MeterAgents } from '../meter/agents.ts'
import { usageOfTally } from '../meter/extras.ts'
import { insertNodes, makeNodes } from '../nodes.ts'
import type { BenchOptions } from '../options.ts'
import { marginalCost } from '../../../src/fleet/prices.ts'
import { goal, table, type BenchResult } from '../report.ts'
import { startBenchServer } from '../server.ts'
import { useOf } from '../workerd-process.ts'

/** A node of the largest fleet may cost so much more than one of the smallest. */
const FLAT_WITHIN = 1.25
const AT_ONCE = 16
const LOG_LINE_BYTES = 4_000

interface Slope {
  nodes: number
  /** Dollars of one round of work, for each node, without what the plan includes. */
  dollars: number
  cpuMs: number
  residentKib: number
  failures: number
}

export async function runSlope({ short }: BenchOptions): Promise<BenchResult> {
  const slopes: Slope[] = []
  for (const nodes of short ? [100, 1_000] : [100, 1_000, 10_000]) slopes.push(await measure(nodes))
  const [first] = slopes
  const last = slopes.at(-1)
  const growth = (of: (slope: Slope) => number) =>
    first === undefined || last === undefined ? Number.NaN : of(last) / of(first)
  console.log(
    `The same work for each node: a configuration, two reads, a log POST of ten lines, a consumer behind it\n${table(
      ['nodes', '$ a million rounds', 'CPU ms', 'memory KiB'],
      slopes.map((row) => [
        row.nodes.toLocaleString('en'),
        (row.dollars * 1e6).toFixed(3),
        row.cpuMs.toFixed(2),
        row.residentKib.toFixed(1),
      ]),
    )}

All for one node. CPU and memory are the whole workerd process's, local stand-ins included; memory is what it grew by.`,
  )
  return {
    bench: 'slope',
    goals: [
      ...[
        goal(
          'cost',
          growth(({ dollars }) => dollars),
          '×',
          '<=',
          FLAT_WITHIN,
          true,
        ),
        goal(
          'memory',
          growth(({ residentKib }) => residentKib),
          '×',
          '<=',
          FLAT_WITHIN,
          false,
        ),
        goal(
          'CPU time',
          growth(({ cpuMs }) => cpuMs),
          '×',
          '<=',
          FLAT_WITHIN,
          false,
        ),
      ].map((one) => ({ ...one, name: `${one.name} of a node, ${last?.nodes} against ${first?.nodes}` })),
      goal(
        'replies that were no answer',
        slopes.reduce((all, { failures }) => all + failures, 0),
        '',
        '<=',
        0,
        true,
      ),
    ],
    details: slopes,
  }
}

/** A fresh server for each size, so that one's memory is not the other's. */
async function measure(count: number): Promise<Slope> {
  const server = await startBenchServer('test/bench/meter/entry.ts')
  try {
    const nodes = await makeNodes(server, count)
    await insertNodes(server, nodes)
    const agents = new MeterAgents(server, await server.url())
    const [warm] = nodes
    if (warm !== undefined) {
      await agents.config(warm)
      await agents.read(warm)
    }
    await agents.take()
    const before = useOf(server.workerdPid)
    for (let start = 0; start < nodes.length; start += AT_ONCE) {
      await Promise.all(
        nodes.slice(start, start + AT_ONCE).map(async (node) => {
          await agents.config(node)
          await agents.read(node)
          await agents.log(node, LOG_LINE_BYTES)
          await agents.read(node)
        }),
      )
    }
    const { tally } = await agents.takeWhenArchived(120_000)
    const after = useOf(server.workerdPid)
    const grown = (after?.residentBytes ?? Number.NaN) - (before?.residentBytes ?? Number.NaN)
    return {
      nodes: count,
      dollars: marginalCost(usageOfTally(tally, count)),
      cpuMs: ((after?.cpuMs ?? Number.NaN) - (before?.cpuMs ?? Number.NaN)) / count,
      residentKib: grown / 1_024 / count,
      failures: agents.failures,
    }
  } finally {
    await server.close()
  }
}
