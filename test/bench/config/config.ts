/**
 * What configuration and enrollment cost and how soon they take effect: documents from a warm isolate, a change on its way
 * to nodes, and a fleet that enrolls at once.
 */

import { insertNodes, makeNodes } from '../nodes.ts'
import type { BenchOptions } from '../options.ts'
import { goal, rounded, table, type BenchResult, type Goal } from '../report.ts'
import { startBenchServer } from '../server.ts'
import { percentile } from '../stats.ts'
import { measureEnrollStorm, type EnrollStorm } from './enroll-storm.ts'
import { measurePropagation, REFRESH_MS, T_MS } from './propagation.ts'
import { measureMemory, measureServed, type Served } from './served.ts'

const NODES = 320
const DOCUMENTS = [1, 10, 64]
const SHORT_DOCUMENTS = [1, 64]
/** An isolate has 128 MB (Workers limits), and parts 32 MiB of it; the object and what waits for the collector stand beside. */
const MOST_ADDED_MIB = 96

export async function runConfig({ short }: BenchOptions): Promise<BenchResult> {
  const server = await startBenchServer('test/bench/config/entry.ts', ['counted', 'floor', 'large'])
  try {
    const nodes = await makeNodes(server, NODES)
    await insertNodes(server, nodes)
    const served: Served[] = []
    for (const documents of short ? SHORT_DOCUMENTS : DOCUMENTS)
      served.push(
        await measureServed(server, nodes, documents, {
          rounds: short ? 2 : 7,
          roundMs: short ? 200 : 600,
        }),
      )
    console.log(servedTable(served))
    const addedMib = await measureMemory(server, nodes)
    console.log(
      `\nAll documents instead of one add ${Math.round(addedMib)} MiB to workerd, the object that keeps them included`,
    )
    const seenMs = await measurePropagation(server, nodes.slice(0, short ? 60 : 200), short ? 1 : 5)
    console.log(`\n${propagationLine(seenMs)}`)
    const storm = await measureEnrollStorm(
      server,
      short ? { nodes: 300, quietMs: 1_500 } : { nodes: 20_000, quietMs: 10_000 },
    )
    console.log(`\n${stormTable(storm)}`)
    return {
      bench: 'config',
      goals: [...servedGoals(served, addedMib), ...propagationGoals(seenMs), ...stormGoals(storm)],
      details: { served, addedMib, seenMs, storm },
    }
  } finally {
    await server.close()
  }
}

function servedTable(served: readonly Served[]): string {
  return `Config replies of 200 KB with managed intervals, one warm isolate; against an empty handler, and one of 200 KB that it holds\n${table(
    [
      'documents',
      'requests/s',
      'of empty',
      'of 200 KB',
      'CPU ms',
      'of empty',
      'of 200 KB',
      'calls',
      'different replies',
    ],
    served.map((row) => [
      String(row.documents),
      String(Math.round(row.perSecond)),
      row.ofEmpty.toFixed(2),
      row.ofLarge.toFixed(2),
      row.cpuMs.toFixed(3),
      `${row.cpuOfEmpty.toFixed(1)} ×`,
      `${row.cpuOfLarge.toFixed(2)} ×`,
      `${row.calls} of ${row.requests}`,
      String(row.replies),
    ]),
  )}`
}

function servedGoals(served: readonly Served[], addedMib: number): Goal[] {
  return [
    ...served.flatMap((row) => [
      goal(`${row.documents} documents: storage calls of a warm reply`, row.calls, '', '<=', 0, true),
      goal(`${row.documents} documents: replies that were no answer`, row.failures, '', '<=', 0, true),
      goal(
        `${row.documents} documents: CPU against a handler of as many bytes`,
        rounded(row.cpuOfLarge),
        'times',
        '<=',
        2,
        false,
      ),
    ]),
    goal('64 documents: memory beside 1 document', rounded(addedMib), 'MiB', '<=', MOST_ADDED_MIB, false),
  ]
}

function propagationLine(seenMs: readonly number[]): string {
  const at = (share: number) => (percentile(seenMs, share) / 1_000).toFixed(1)
  return `From apply to nodes that refresh each ${REFRESH_MS / 1_000} s, over 8 isolates: median ${at(0.5)} s, 99 % ${at(0.99)} s, last ${at(1)} s (${seenMs.length} arrivals)`
}

function propagationGoals(seenMs: readonly number[]): Goal[] {
  const allowedS = (2 * T_MS + REFRESH_MS) / 1_000
  const name = '99 % of polling nodes have a new version after'
  return [goal(name, percentile(seenMs, 0.99) / 1_000, 's', '<=', allowedS, false)]
}

function stormTable(storm: EnrollStorm): string {
  const { nodes, seconds, triesANode, rowsReadANode, statements, requests } = storm
  const head = `${nodes.toLocaleString('en')} nodes enroll at once: all have keys after ${Math.round(seconds)} s, ${triesANode.toFixed(1)} tries each; ${statements} D1 statements for ${requests} requests, ${Math.round(rowsReadANode)} rows read for each node`
  return `${head}\n${table(
    ["others' requests", 'before, ms', 'meanwhile', 'p95', 'times', 'of'],
    Object.entries(storm.felt).map(([kind, { quietMs, stormMs, p95Ms, count }]) => [
      kind,
      quietMs.toFixed(1),
      stormMs.toFixed(1),
      p95Ms.toFixed(0),
      (stormMs / quietMs).toFixed(1),
      String(count),
    ]),
  )}`
}

function stormGoals({ lost, wrong, odd, statements, requests, refusedOthers, felt }: EnrollStorm): Goal[] {
  return [
    goal('agents without a key in the end', lost, '', '<=', 0, true),
    goal('replies that are neither an answer nor retry', wrong, '', '<=', 0, true),
    goal('nodes in the inventory too many or too few', odd, '', '<=', 0, true),
    goal('D1 statements of an enroll', rounded(statements / requests), 'a request', '<=', 1, true),
    goal("others' requests that were not answered", refusedOthers, '', '<=', 0, true),
    ...(['config', 'read'] as const).map((kind) =>
      goal(`others' ${kind} meanwhile`, rounded(felt[kind].p95Ms), 'ms, p95', '<=', 1_000, false),
    ),
  ]
}
