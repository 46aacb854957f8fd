/**
 * What 1,000 log POSTs cost in operations of queues and R2 and in rows of Durable Objects, from the agent to the archive
 * and on to one sink: counted on the Worker of the meter (meter/entry.ts), once through each ack port.
 */

import { startHttpsServer } from '../../support/sinks/https.ts'
import { tallied, MeterAgents, addTaken, type Taken } from '../meter/agents.ts'
import type { Port } from '../../../src/fleet/cost-model.ts'
import { insertNodes, makeNodes, type BenchNode } from '../nodes.ts'
import { goal, rounded, table, type Goal } from '../report.ts'
import { startBenchServer } from '../server.ts'
import { makeSink } from './operator.ts'

/** A full batch of the consumer (wrangler.toml). */
const BATCH_MESSAGES = 100
const AT_ONCE = 20
/** 1 MB a day at 300 s. */
const POST_BYTES = 3_500
/** One POST in ten brings status lines: two types, so a batch makes two objects. */
const TYPES = 2
const SETTLE_WITHIN_MS = 30_000

export interface Operations {
  port: Port
  /** Whether a sink follows the archive. */
  sink: boolean
  posts: number
  batches: number
  /** A batch writes an object for each type and hour. */
  hours: number
  queueAtEdge: number
  queueInConsumer: number
  queueInDelivery: number
  r2AtEdge: number
  r2ClassA: number
  r2ClassB: number
  d1Statements: number
  rowsRead: number
  rowsWritten: number
  sinkRowsWritten: number
}

/** Counts on a server of its own. */
export async function countOperations(posts: number): Promise<Operations[]> {
  const server = await startBenchServer('test/bench/meter/entry.ts')
  const destination = await startHttpsServer()
  try {
    const nodes = await makeNodes(server, posts)
    await insertNodes(server, nodes)
    const agents = new MeterAgents(server, await server.url())
    // What isolates ask for once is no part of a POST's cost.
    for (const node of nodes.slice(0, 2)) await agents.config(node)
    await server.env.ARCHIVE_INDEX.getByName(server.environmentId).health()
    const counted: Operations[] = []
    for (const port of ['queue', 'inbox'] as const) counted.push(await count(agents, nodes, port, null))
    await makeSink(server, destination.url, { name: 'counted' })
    for (const port of ['queue', 'inbox'] as const) {
      counted.push(await count(agents, nodes, port, () => destination.eventIds().size))
    }
    if (agents.failures > 0) throw new Error(`${agents.failures} replies were no answer`)
    return counted
  } finally {
    await server.close()
    await destination.close()
  }
}

async function count(
  agents: MeterAgents,
  nodes: readonly BenchNode[],
  port: Port,
  delivered: (() => number) | null,
): Promise<Operations> {
  await agents.take()
  const before = delivered?.() ?? 0
  const startedHour = new Date().getUTCHours()
  let lines = 0
  for (let sent = 0; sent < nodes.length; sent += AT_ONCE) {
    const bodies = await Promise.all(
      nodes.slice(sent, sent + AT_ONCE).map((node) => agents.log(node, POST_BYTES, { port })),
    )
    for (const { lines: ofBody } of bodies) lines += ofBody
  }
  const taken = await agents.takeWhenArchived()
  await settled(agents, taken, () => delivered === null || delivered() - before >= lines)
  const hours = new Date().getUTCHours() === startedHour ? 1 : 2
  return { port, sink: delivered !== null, posts: nodes.length, hours, ...operationsOf(taken) }
}

/** Gathers what is counted until it is done. */
async function settled(agents: MeterAgents, taken: Taken, isDone: () => boolean): Promise<void> {
  const endsAtMs = Date.now() + SETTLE_WITHIN_MS
  while (!isDone()) {
    if (Date.now() > endsAtMs) throw new Error('the sink did not get everything')
    await new Promise((resolve) => setTimeout(resolve, 100))
    addTaken(taken, await agents.take())
  }
  // What was taken is written down after the answer.
  await new Promise((resolve) => setTimeout(resolve, 200))
  addTaken(taken, await agents.take())
}

function operationsOf({ tally }: Taken): Omit<Operations, 'port' | 'sink' | 'posts' | 'hours'> {
  const scopes = ['request log', 'consumer', 'deliveries', 'object Sink.', 'object Archive.']
  const all = (metric: string) => scopes.reduce((sum, scope) => sum + tallied(tally, scope, metric), 0)
  return {
    batches: tallied(tally, 'consumer', 'requests'),
    queueAtEdge: tallied(tally, 'request log', 'queue.operations'),
    queueInConsumer: tallied(tally, 'consumer', 'queue.operations'),
    // The consumer sends the wake-ups; the deliveries' consumer reads and deletes them.
    queueInDelivery: tallied(tally, 'deliveries', 'queue.operations'),
    r2AtEdge: tallied(tally, 'request log', 'r2.a'),
    r2ClassA: all('r2.a'),
    r2ClassB: all('r2.b'),
    d1Statements: all('d1.statements'),
    rowsRead: tallied(tally, 'object Archive.', 'sql.rowsRead'),
    rowsWritten: tallied(tally, 'object Archive.', 'sql.rowsWritten'),
    sinkRowsWritten: tallied(tally, 'object Sink.', 'sql.rowsWritten'),
  }
}

export function operationsTable(counted: readonly Operations[]): string {
  const rows = counted.map((row) => {
    const per = (value: number) => String(rounded((value / row.posts) * 1_000))
    return [
      `${row.port}${row.sink ? ', one sink' : ''}`,
      per(row.queueAtEdge + row.queueInConsumer + row.queueInDelivery),
      per(row.r2ClassA),
      per(row.r2ClassB),
      per(row.rowsRead),
      per(row.rowsWritten),
      per(row.sinkRowsWritten),
      per(row.d1Statements),
      `${row.batches} of ${Math.round(row.posts / row.batches)}`,
    ]
  })
  const heads = [
    'of 1,000 POSTs',
    'queue operations',
    'R2 class A',
    'class B',
    'index rows read',
    'written',
    "sink's rows written",
    'D1 statements',
    'batches',
  ]
  return `${table(heads, rows)}

Counted from the POST to the archive, and to the sink where there is one; ${counted[0]?.posts ?? 0} POSTs of ${POST_BYTES} bytes of lines. Full batches of
${BATCH_MESSAGES} make the fewest; the local queue hands over what there is. Messages that came again are not in it.`
}

/** Counted, so the same in every run: batches may be of any size, so what is bounded is what a POST and what a batch costs. */
export function operationsGoals(counted: readonly Operations[]): Goal[] {
  return counted.flatMap((row) => {
    const { port, sink, posts, batches, hours } = row
    const title = `${port}${sink ? ', one sink' : ''}`
    const objects = batches * TYPES * hours
    return [
      goal(`${title}: queue operations`, row.queueAtEdge / posts, 'sent a POST', '<=', 1, true),
      goal(
        `${title}: R2 puts at the edge`,
        row.r2AtEdge / posts,
        'a POST',
        '<=',
        port === 'queue' ? 0 : 1,
        true,
      ),
      goal(
        `${title}: R2 puts of the consumer`,
        (row.r2ClassA - row.r2AtEdge) / objects,
        'an object',
        '<=',
        1,
        true,
      ),
      goal(`${title}: index rows written`, row.rowsWritten / objects, 'an object', '<=', 8, true),
      goal(`${title}: D1 statements`, row.d1Statements / batches, 'a batch', '<=', 1, true),
    ]
  })
}
