/** Everybody enrolls at once: who is left out, what it asks of D1, and what those feel who only poll. */

import type { BenchServer } from '../server.ts'
import { median, percentile } from '../stats.ts'
import { countNodes, Storm, type FELT, type Wave } from '../storm/storm.ts'

/** Sockets of this machine; all the others wait for their turn, as they would at Cloudflare's edge. */
const AT_ONCE = 400
/** osqueryd waits 1 s, 4 s, 9 s … between tries of one start, then starts anew (spec 1.3). */
const LONGEST_PAUSE_MS = 15_000

export interface EnrollStorm {
  nodes: number
  seconds: number
  /** Agents without a key in the end. */
  lost: number
  /** Replies that were neither an answer nor `retry`. */
  wrong: number
  /** Nodes too many or too few in the inventory. */
  odd: number
  triesANode: number
  /** D1 statements of enroll requests, and those requests. */
  statements: number
  requests: number
  rowsReadANode: number
  /** Others' requests that were not answered. */
  refusedOthers: number
  /** Others' requests: medians before and meanwhile, and the 95th percentile meanwhile. */
  felt: Record<(typeof FELT)[number], { quietMs: number; stormMs: number; p95Ms: number; count: number }>
}

export async function measureEnrollStorm(
  server: BenchServer,
  { nodes, quietMs }: { nodes: number; quietMs: number },
): Promise<EnrollStorm> {
  const base = await server.url('counted')
  const before = await countNodes(server)
  const storm = new Storm(base, nodes, {
    atOnce: AT_ONCE,
    pauseMs: (tries) => Math.min(1_000 * tries ** 2, LONGEST_PAUSE_MS) * (0.5 + Math.random()),
  })
  const quiet = await storm.quiet(quietMs)
  await takeTally(base)
  const wave = await storm.wave('all enroll at once', (agent) => storm.enroll(agent))
  const tally = await takeTally(base)
  const enrolls = (metric: string) => tally[`request enroll|${metric}`] ?? 0
  return {
    nodes,
    seconds: wave.seconds,
    lost: wave.lost,
    wrong: storm.wrong,
    odd: Math.abs((await countNodes(server)) - before - storm.hosts),
    triesANode: wave.tries / wave.agents,
    statements: enrolls('d1.statements'),
    requests: enrolls('requests'),
    rowsReadANode: enrolls('d1.rowsRead') / nodes,
    refusedOthers: wave.refusedOthers,
    felt: feltOf(quiet, wave.feltMs),
  }
}

function feltOf(quiet: Wave['feltMs'], storm: Wave['feltMs']): EnrollStorm['felt'] {
  const of = (kind: (typeof FELT)[number]) => ({
    quietMs: median(quiet[kind]),
    stormMs: median(storm[kind]),
    p95Ms: percentile(storm[kind], 0.95),
    count: storm[kind].length,
  })
  return { read: of('read'), config: of('config'), log: of('log') }
}

async function takeTally(base: URL): Promise<Record<string, number>> {
  const reply = await fetch(new URL('/bench/tally', base))
  return ((await reply.json()) as { tally: Record<string, number> }).tally
}
