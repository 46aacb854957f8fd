/** The live benchmark's figures for people. Pure. */

import { rounded, table } from '../report.ts'
import { percentile } from '../stats.ts'
import type { LiveResult } from './goals.ts'

const MIB = 1_024 ** 2

export function liveTables({ flood, concurrent, watched, million, crash }: LiveResult): string {
  const { nodes, seconds, verdict, residentBytes } = flood
  const calls = Object.entries(flood.objectCalls)
    .sort(([, a], [, b]) => b - a)
    .map(([call, count]) => `${call} ${rounded(count)}`)
  const { csv, groups, page } = million
  return [
    `${text(nodes)} nodes answer one query: ${text(verdict.rows)} rows, ${text(nodes / seconds)} answers/s, idle again ${rounded(flood.idleAfterS)} s after the last
object calls an answer: ${calls.join(', ')}; D1 statements of everything: ${flood.d1InAll}
resident memory after a tenth ${mib(residentBytes.early)}, at most ${mib(residentBytes.most)}; ${flood.waiting.away} of ${text(flood.waiting.nodes)} nodes were away for a query of 7 days`,
    table(
      ['time in ms', 'median', 'p95', 'worst', 'of'],
      [
        times(`picked up, polls each ${concurrent.intervalS} s: one node each`, concurrent.pickUpMs.single),
        times('the same, fleet-wide', concurrent.pickUpMs.fleetWide),
        times(`opened, ${concurrent.single} + ${concurrent.fleetWide} at once`, concurrent.openedMs),
        times('answer of an accelerated node, asked over HTTP', watched.tookMs),
        times(`first page of ${text(million.rows)} rows`, page.all.tookMs),
        times(`first page of ${text(million.fewRows)} rows`, page.few.tookMs),
        times('counts by a column', groups.tookMs),
        times('write, nobody reads', groups.writeMs.quiet),
        times('write to shards that are being counted', groups.writeMs.same),
        times('write to other shards meanwhile', groups.writeMs.other),
      ],
    ),
    `accelerated nodes: ${rounded(watched.pollsPerNodeAndMinute)} polls a minute; counts by a column: ${rounded(groups.answersPerCall)} answers a shard call, ${groups.tookMs.length} in ${groups.tookMs.length + groups.incomplete} requests
CSV: ${text(csv.lines)} lines, ${mib(csv.bytes)} in ${rounded(csv.seconds)} s; resident memory ${mib(csv.residentBytes.before)} before, at most ${mib(csv.residentBytes.most)}
SIGKILL with ${crash.answeredBefore} of ${text(crash.rows / 20)} nodes answered: ${crash.unacknowledged} writes sent again, the viewer connected ${crash.connections} times`,
  ].join('\n\n')
}

function times(what: string, samples: readonly number[]): string[] {
  const at = (share: number) => percentile(samples, share).toFixed(0)
  return [what, at(0.5), at(0.95), at(1), String(samples.length)]
}

function text(value: number): string {
  return rounded(value).toLocaleString('en')
}

function mib(bytes: number): string {
  return `${rounded(bytes / MIB)} MiB`
}
