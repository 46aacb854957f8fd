/**
 * How many lines a second of one core go through scan, consumer and compaction, beside what the same bytes cost at least.
 * CPU time is that of the workerd process; the rounds of all stages follow each other, so a busy machine meets all.
 */

import { logBody } from '../log-body.ts'
import { goal, rounded, table, type Goal } from '../report.ts'
import type { BenchNode } from '../nodes.ts'
import type { BenchServer } from '../server.ts'
import { median } from '../stats.ts'
import { useOf } from '../workerd-process.ts'
import type { Pass } from './stages.ts'

/** Of one POST; a server of the model has ten in five minutes, a busy one more. */
const LINES_OF_POST = 20
/** Beyond the floor of gunzip, `JSON.parse` and gzip a stage hashes, splices, sorts and indexes: a third is the goal. */
const WANTED = { scan: 0.5, consumer: 0.33, compaction: 0.33 } as const

type Stage = keyof typeof WANTED

/** In this order: each needs what the one before left. */
const STAGES: readonly { stage: string; plain: string }[] = [
  { stage: 'plain', plain: 'plain' },
  { stage: 'scan', plain: 'plain' },
  { stage: 'consumer', plain: 'plain' },
  { stage: 'plain-objects', plain: 'plain-objects' },
  { stage: 'compaction', plain: 'plain-objects' },
]

interface Round extends Pass {
  cpuMs: number
  wallMs: number
}

export interface Throughput {
  stage: string
  linesPerCoreSecond: number
  mbPerCoreSecond: number | null
  /** Lines/s of the plain cost's; NaN where CPU time is not known. */
  ofPlain: number
  wallMs: number
}

/** Measures all stages: `posts` bodies, so many rounds after one for the compiler. */
export async function measureThroughput(
  server: BenchServer,
  nodes: readonly BenchNode[],
  posts: number,
  rounds: number,
): Promise<Throughput[]> {
  const base = await server.url('stages')
  await loadBodies(base, nodes, posts)
  const taken = new Map<string, Round[]>()
  for (let round = 0; round <= rounds; round += 1) {
    for (const { stage } of STAGES) {
      const one = await runStage(server, base, stage)
      if (round > 0) taken.set(stage, [...(taken.get(stage) ?? []), one])
    }
  }
  return STAGES.map(({ stage, plain }) => summaryOf(stage, taken.get(stage) ?? [], taken.get(plain) ?? []))
}

async function loadBodies(base: URL, nodes: readonly BenchNode[], posts: number): Promise<void> {
  const bodies = Array.from({ length: posts }, (_, i) => {
    const node = nodes[i % nodes.length]
    if (node === undefined) throw new Error('there are nodes')
    return { nodeId: node.nodeId, bytes: logBody(node, LINES_OF_POST).bytes }
  })
  const heads = bodies.map(({ nodeId, bytes }) => ({ nodeId, length: bytes.length, lines: LINES_OF_POST }))
  const packed = [Buffer.from(`${JSON.stringify(heads)}\n`), ...bodies.map(({ bytes }) => bytes)]
  const reply = await fetch(new URL('/bodies', base), { method: 'POST', body: Buffer.concat(packed) })
  if (!reply.ok) throw new Error(await reply.text())
}

async function runStage(server: BenchServer, base: URL, stage: string): Promise<Round> {
  const startedMs = performance.now()
  const before = useOf(server.workerdPid)?.cpuMs ?? Number.NaN
  const reply = await fetch(new URL(`/${stage}`, base), { method: 'POST' })
  if (!reply.ok) throw new Error(`${stage}: ${await reply.text()}`)
  const pass = (await reply.json()) as Pass
  const cpuMs = (useOf(server.workerdPid)?.cpuMs ?? Number.NaN) - before
  return { ...pass, cpuMs, wallMs: performance.now() - startedMs }
}

function summaryOf(stage: string, rounds: readonly Round[], plain: readonly Round[]): Throughput {
  const perSecond = ({ lines, cpuMs }: Round) => (lines / cpuMs) * 1_000
  const ratios = rounds.map((round, i) => perSecond(round) / perSecond(plain[i] ?? round))
  const [bytes] = plain.map((round) => round.bytes)
  const cpuMs = median(rounds.map((round) => round.cpuMs))
  return {
    stage,
    linesPerCoreSecond: median(rounds.map(perSecond)),
    mbPerCoreSecond: bytes === undefined ? null : bytes / 1_000 / cpuMs,
    ofPlain: median(ratios),
    wallMs: median(rounds.map(({ wallMs }) => wallMs)),
  }
}

const TITLES: Record<string, string> = {
  plain: 'POSTs: gunzip, JSON.parse, gzip',
  scan: 'POSTs: gunzip, scan',
  consumer: 'POSTs to objects: the consumer',
  'plain-objects': 'objects: gunzip, JSON.parse, gzip',
  compaction: 'objects to large ones: compaction',
}

export function throughputTable(measured: readonly Throughput[]): string {
  const rows = measured.map(({ stage, linesPerCoreSecond, mbPerCoreSecond, ofPlain }) => [
    TITLES[stage] ?? stage,
    Math.round(linesPerCoreSecond).toLocaleString('en'),
    mbPerCoreSecond === null ? '' : String(rounded(mbPerCoreSecond)),
    ofPlain.toFixed(2),
  ])
  return `${table(['stage', 'lines/s of a core', 'MB/s', 'of plain'], rows)}

POSTs of ${LINES_OF_POST} lines, gzip. CPU time of the workerd process, one isolate. MB: inflated, as they come into the stage. Index
and D1 are the local stand-ins; R2 is a map in memory.`
}

export function throughputGoals(measured: readonly Throughput[]): Goal[] {
  return measured.flatMap(({ stage, ofPlain }) => {
    const wanted = WANTED[stage as Stage] as number | undefined
    return wanted === undefined
      ? []
      : [goal(`${stage}, lines/s`, ofPlain, 'of gunzip + JSON.parse + gzip', '>=', wanted, false)]
  })
}
