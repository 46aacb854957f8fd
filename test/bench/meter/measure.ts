/** Counts what the model is made of: POST sizes through both ports, the consumer, and CPU times. */

import { LoadGenerator, postBytes } from '../load.ts'
import { logBody } from '../log-body.ts'
import type { BenchNode } from '../nodes.ts'
import { median, sum } from '../stats.ts'
import type { BenchServer } from '../server.ts'
import { useOf } from '../workerd-process.ts'
import { addTaken, tallied, type MeterAgents, type Taken } from './agents.ts'
import type { Port, Units } from '../../../src/fleet/cost-model.ts'

const AT_ONCE = 10
const CONNECTIONS = 8
/** A full batch (wrangler.toml), which the queue hands over at once. */
const BATCH_MESSAGES = 100
/** 1 MB a day at 300 s. */
const SMALL_POST_BYTES = 3_500
/** Log POSTs of the CPU rounds: twenty lines. */
const CPU_LINE_BYTES = 8_000

export interface PostCounts {
  posts: Units['posts']
  /** Bytes in the archive for each byte of lines. */
  storedShare: number
  /** Operations of the consumer for each of the senders': a read and a delete, more where messages came again. */
  consumerShare: number
}

/** Sends `count` log POSTs; returns their mean bytes of lines. */
async function send(
  agents: MeterAgents,
  nodes: readonly BenchNode[],
  wantedBytes: number,
  port: Port,
): Promise<number> {
  let lineBytes = 0
  for (let sent = 0; sent < nodes.length; sent += AT_ONCE) {
    const bodies = await Promise.all(
      nodes.slice(sent, sent + AT_ONCE).map((node) => agents.log(node, wantedBytes, { port })),
    )
    lineBytes += sum(bodies.map((body) => body.lineBytes))
  }
  return lineBytes / nodes.length
}

/** What POSTs of these sizes cause at the edge, by port, and in the consumer, together. */
export async function measurePosts(
  agents: MeterAgents,
  nodes: readonly BenchNode[],
  sizes: readonly number[],
): Promise<PostCounts> {
  await agents.takeWhenArchived()
  const posts: Units['posts'] = []
  const all: Taken = { tally: {}, toArchiveMs: [] }
  for (const size of sizes) {
    for (const port of ['queue', 'inbox'] as const) {
      const lineBytes = await send(agents, nodes, size, port)
      const taken = await agents.take()
      const each = (metric: string) => tallied(taken.tally, 'request', metric) / nodes.length
      posts.push({ lineBytes, port, queueOperations: each('queue.operations'), r2ClassA: each('r2.a') })
      addTaken(all, taken)
    }
  }
  addTaken(all, await agents.takeWhenArchived())
  const sentBytes = sum(posts.map(({ lineBytes }) => lineBytes)) * nodes.length
  return {
    posts,
    storedShare: tallied(all.tally, 'consumer', 'stored logs') / sentBytes,
    consumerShare:
      tallied(all.tally, 'consumer', 'queue.operations') / tallied(all.tally, 'request', 'queue.operations'),
  }
}

/** What a full batch of small POSTs costs the consumer, and the CPU time of its share of one message. */
export async function measureConsumer(
  agents: MeterAgents,
  nodes: readonly BenchNode[],
  cpuPerPost: number,
): Promise<Units['consumer'] & { cpuMsPerMessage: number }> {
  const batch = nodes.slice(0, BATCH_MESSAGES)
  const before = useOf(agents.server.workerdPid)?.cpuMs ?? Number.NaN
  await send(agents, batch, SMALL_POST_BYTES, 'queue')
  const { tally } = await agents.takeWhenArchived()
  const cpuMs = (useOf(agents.server.workerdPid)?.cpuMs ?? Number.NaN) - before
  const batches = tallied(tally, 'consumer', 'requests')
  const perBatch = (scope: string, metric: string) => tallied(tally, scope, metric) / batches
  await send(agents, batch, SMALL_POST_BYTES, 'inbox')
  const inbox = await agents.takeWhenArchived()
  return {
    objectRequestsPerBatch: perBatch('consumer', 'do '),
    rowsWrittenPerBatch: perBatch('object Archive.add', 'sql.rowsWritten'),
    rowsReadPerBatch: perBatch('object Archive.add', 'sql.rowsRead'),
    r2ClassAPerBatch: perBatch('consumer', 'r2.a'),
    d1RowsReadPerMessage: tallied(tally, 'consumer', 'd1.rowsRead') / batch.length,
    r2ClassBPerMessage: { queue: 0, inbox: tallied(inbox.tally, 'consumer', 'r2.b') / batch.length },
    cpuMsPerMessage: Number.isNaN(cpuMs) ? 0 : Math.max(0, cpuMs / batch.length - cpuPerPost),
  }
}

/**
 * CPU time of one request: that of the whole process in a closed loop, R2 and queue answering at once. HTTP is part of
 * it, so it is more than what Cloudflare would bill. Median of short rounds; 0 where the system does not tell.
 */
export async function measureCpu(
  server: BenchServer,
  nodes: readonly BenchNode[],
  rounds: number,
): Promise<Omit<Units['cpuMs'], 'consumerPerMessage'>> {
  const one = async (entrypoint: string, path: string, body: (node: BenchNode) => Uint8Array | string) => {
    const url = new URL(`/api/osquery/${path}`, await server.url(entrypoint))
    const requests = nodes
      .slice(0, 100)
      .map((node) => postBytes(url, body(node), { authorization: `NodeKey ${node.nodeKey}` }))
    const generator = await LoadGenerator.connect(url, CONNECTIONS)
    const samples: number[] = []
    let turn = 0
    for (let round = 0; round <= rounds; round += 1) {
      const before = useOf(server.workerdPid)?.cpuMs ?? 0
      const { requests: sent } = await generator.run(
        () => requests[(turn += 1) % requests.length] ?? null,
        400,
      )
      if (round > 0) samples.push(((useOf(server.workerdPid)?.cpuMs ?? 0) - before) / sent)
    }
    generator.close()
    return median(samples)
  }
  const key = ({ nodeKey }: BenchNode) => JSON.stringify({ node_key: nodeKey })
  const lines = (node: BenchNode) => logBody(node, CPU_LINE_BYTES / 400).bytes
  return {
    read: await one('alone', 'distributed/read', key),
    config: await one('alone', 'config', key),
    log: { queue: await one('aloneQueue', 'log', lines), inbox: await one('alone', 'log', lines) },
  }
}
