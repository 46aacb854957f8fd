/**
 * One query that a whole fleet answers at once, then nothing more to do; then a query of seven days for which a
 * twentieth of the fleet is away. What it costs is counted, and every row is looked for afterwards.
 */

import { tallied } from '../meter/agents.ts'
import type { Tally } from '../meter/tally.ts'
import type { BenchNode } from '../nodes.ts'
import type { BenchServer } from '../server.ts'
import { useOf } from '../workerd-process.ts'
import { bindingCalls, takeTally } from './counts.ts'
import { each, Fleet, pause } from './fleet.ts'
import { linesOf } from './operator.ts'
import { RowLedger, rowsOfNode, type Verdict } from './rows.ts'

const ROWS = 20
const AT_ONCE = 32
/** The last nodes to answer are the last to be known as such: enough for all isolates and shards to be among them. */
const PROBES = 40
/** One of so many nodes sends its answer again, as agents do whose reply was lost. */
const AGAIN_EVERY = 100
/** One of so many nodes is away. */
const AWAY_EVERY = 20
const WEEK_S = 7 * 86_400
/** Shards report every 30 s and isolates look every 2 s; a busy machine takes longer. */
const IDLE_WITHIN_MS = 60_000
/** What is answered becomes log lines 5 s later, each batch within some more. */
const LOGGED_AFTER_MS = 8_000

export interface FloodResult {
  nodes: number
  seconds: number
  verdict: Verdict
  /** Answers that the query counts, less those that it should. */
  miscounted: number
  retries: number
  /** Of everything, alarms, heads and log lines too. */
  objectCallsPerAnswer: number
  /** By object method, for each answer. */
  objectCalls: Record<string, number>
  d1PerAnswer: number
  /** Of the whole deployment until the query was closed: its own row, log lines. */
  d1InAll: number
  /** Resident memory after a tenth of the answers, and the most after that. */
  residentBytes: { early: number; most: number }
  /** Binding calls of all polls after the query was complete. */
  idleCalls: number
  idleAfterS: number
  waiting: WaitingResult
}

export interface WaitingResult {
  nodes: number
  away: number
  /** Binding calls of one poll of every node that has answered, while the query waits. */
  othersCalls: number
  /** Nodes that were away and could not answer when they came back. */
  forgotten: number
}

export async function runFlood(server: BenchServer, short: boolean): Promise<FloodResult> {
  const fleet = await Fleet.make(server, 'flood', short ? 1_000 : 10_000)
  const { nodes, operator } = fleet
  // Every isolate has a head before anything happens.
  for (const node of nodes.slice(0, PROBES)) await fleet.read(node)
  const opened = await operator.openQuery({ all: true })
  await takeTally(server)
  const memory = new Memory(server)
  const startedAtMs = performance.now()
  const sent: { node: BenchNode; ids: string[] }[] = []
  await each(nodes, AT_ONCE, async (node) => {
    const ids = Object.keys(await fleet.readWork(node))
    await fleet.write(node, ids, rowsOfNode(node.ordinal, ROWS))
    sent.push({ node, ids })
    memory.look(sent.length >= nodes.length / 10)
  })
  const seconds = (performance.now() - startedAtMs) / 1_000
  const tally = await takeTally(server)
  const idle = await untilIdle(
    server,
    fleet,
    sent.slice(-PROBES).map(({ node }) => node),
  )
  await pause(short ? 0 : LOGGED_AFTER_MS)
  add(tally, idle.tally)
  add(tally, await takeTally(server))
  const idleCalls = await callsOfPolls(server, fleet, nodes)
  const again = sent.filter((_, index) => index % AGAIN_EVERY === 0)
  await each(again, AT_ONCE, ({ node, ids }) => fleet.write(node, ids, rowsOfNode(node.ordinal, ROWS)))
  const { counts } = await operator.query(opened.id)
  const calls = objectCalls(tally)
  return {
    nodes: nodes.length,
    seconds,
    verdict: await exported(fleet, opened.id),
    miscounted: Math.abs(counts.answered - nodes.length),
    objectCallsPerAnswer: Object.values(calls).reduce((sum, count) => sum + count, 0) / nodes.length,
    objectCalls: Object.fromEntries(
      Object.entries(calls).map(([call, count]) => [call, count / nodes.length]),
    ),
    d1PerAnswer:
      (tallied(tally, 'request', 'd1.statements') + tallied(tally, 'object AnswerShard', 'd1.statements')) /
      nodes.length,
    d1InAll: tallied(tally, '', 'd1.statements') - tallied(tally, 'operator', 'd1.statements'),
    residentBytes: memory.seen,
    idleCalls,
    idleAfterS: idle.afterS,
    waiting: await waitAWeek(server, short),
    retries: fleet.retries,
  }
}

/** A query of seven days that most have answered. */
async function waitAWeek(server: BenchServer, short: boolean): Promise<WaitingResult> {
  const fleet = await Fleet.make(server, 'week', short ? 500 : 2_000)
  const { nodes, operator } = fleet
  const away = nodes.filter(({ ordinal }) => isAway(ordinal))
  const there = nodes.filter(({ ordinal }) => !isAway(ordinal))
  const opened = await operator.openQuery({ all: true }, WEEK_S)
  const answer = async (node: BenchNode) =>
    fleet.write(node, Object.keys(await fleet.readWork(node)), rowsOfNode(node.ordinal, 1))
  const answered: BenchNode[] = []
  await each(there, AT_ONCE, async (node) => {
    await answer(node)
    answered.push(node)
  })
  if (short) await reportNow(server, fleet)
  await untilIdle(server, fleet, answered.slice(-PROBES))
  const othersCalls = await callsOfPolls(server, fleet, there)
  await each(away, AT_ONCE, answer)
  const { counts } = await operator.query(opened.id)
  return { nodes: nodes.length, away: away.length, othersCalls, forgotten: nodes.length - counts.answered }
}

/** Scattered over shards and isolates. */
function isAway(ordinal: number): boolean {
  return (ordinal * 7_919) % AWAY_EVERY === Math.floor(ordinal / AWAY_EVERY) % AWAY_EVERY
}

/** Polls through every isolate until that costs nothing; what objects and isolates did meanwhile. */
async function untilIdle(
  server: BenchServer,
  fleet: Fleet,
  polled: readonly BenchNode[],
): Promise<{ tally: Tally; afterS: number }> {
  const startedAtMs = performance.now()
  const all: Tally = {}
  for (;;) {
    for (const node of polled) await fleet.read(node)
    const tally = await takeTally(server)
    // Not these polls themselves: no agent polls five times a second.
    add(all, Object.fromEntries(Object.entries(tally).filter(([key]) => !key.startsWith('request '))))
    const afterMs = performance.now() - startedAtMs
    if (bindingCalls(tally, 'request distributed/read') === 0) return { tally: all, afterS: afterMs / 1_000 }
    if (afterMs > IDLE_WITHIN_MS) throw new Error('polls never cost nothing')
    await pause(200)
  }
}

async function callsOfPolls(server: BenchServer, fleet: Fleet, nodes: readonly BenchNode[]): Promise<number> {
  await takeTally(server)
  await each(nodes, AT_ONCE, (node) => fleet.read(node))
  return bindingCalls(await takeTally(server), 'request distributed/read')
}

async function reportNow(server: BenchServer, { environmentId, nodes }: Fleet): Promise<void> {
  const row = await server.env.DB.prepare('SELECT answer_shards AS shards FROM environments WHERE id = ?')
    .bind(environmentId)
    .first<{ shards: number }>()
  const shards = Math.min(row?.shards ?? 0, nodes.length)
  for (let shard = 0; shard < shards; shard += 1) {
    const stub = server.env.ANSWER_SHARD.getByName(`${environmentId}/${shards}/${shard}`)
    await (stub as unknown as { reportNow(): Promise<void> }).reportNow()
  }
}

async function exported({ nodes, operator }: Fleet, queryId: string): Promise<Verdict> {
  const ledger = new RowLedger(nodes, ROWS)
  for await (const line of linesOf(await operator.open(`/queries/${queryId}/export`))) {
    const { nodeId, columns } = JSON.parse(line) as { nodeId: string; columns: { host: string; k: string } }
    ledger.note(nodeId, columns)
  }
  return ledger.verdict()
}

/** Calls of objects by method, without those that operators made. */
function objectCalls(tally: Tally): Record<string, number> {
  const calls: Record<string, number> = {}
  for (const [key, count] of Object.entries(tally)) {
    const [scope = '', metric = ''] = key.split('|')
    if (metric.startsWith('do ') && scope !== 'operator')
      calls[metric.slice(3)] = (calls[metric.slice(3)] ?? 0) + count
  }
  return calls
}

function add(all: Tally, more: Tally): void {
  for (const [key, value] of Object.entries(more)) all[key] = (all[key] ?? 0) + value
}

/** How large workerd was at first, and at most from then on. */
class Memory {
  readonly seen = { early: Number.NaN, most: Number.NaN }
  readonly #server: BenchServer
  #lookedAtMs = 0

  constructor(server: BenchServer) {
    this.#server = server
  }

  look(isWarm: boolean): void {
    if (!isWarm || performance.now() - this.#lookedAtMs < 100) return
    this.#lookedAtMs = performance.now()
    const bytes = useOf(this.#server.workerdPid)?.residentBytes ?? Number.NaN
    if (Number.isNaN(this.seen.early)) this.seen.early = bytes
    this.seen.most = Math.max(bytes, Number.isNaN(this.seen.most) ? 0 : this.seen.most)
  }
}
