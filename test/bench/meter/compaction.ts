/**
 * What compaction costs, counted: lines that were received hours ago go through the consumer as always, then the work is
 * woken as the cron trigger does. Once with one object of an hour and once with more tells what each object adds.
 */

import { encodeMessage } from '../../../src/logs/message.ts'
import { logBody } from '../log-body.ts'
import type { BenchNode } from '../nodes.ts'
import { useOf } from '../workerd-process.ts'
import { addTaken, tallied, type MeterAgents, type Taken } from './agents.ts'
import type { CompactionShare, Units } from '../../../src/fleet/cost-model.ts'
import type { Tally } from './tally.ts'

const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000
/** Older than this an hour waits for nobody (logs/index/compaction.ts). */
const SETTLED_AFTER_HOURS = 8
const OBJECTS = 5
/** A full batch of the consumer: one object. */
const MESSAGES = 100
const LINES = 10
const WITHIN_MS = 60_000

export async function measureCompaction(
  agents: MeterAgents,
  nodes: readonly BenchNode[],
): Promise<Units['compaction']> {
  const idle = await wakeAndCount(agents, 0)
  await archiveOld(agents, nodes, SETTLED_AFTER_HOURS + 2, 1)
  const one = await wakeAndCount(agents, 1)
  const lineBytes = await archiveOld(agents, nodes, SETTLED_AFTER_HOURS, OBJECTS)
  const before = useOf(agents.server.workerdPid)?.cpuMs ?? Number.NaN
  const many = await wakeAndCount(agents, 1)
  const cpuMs = (useOf(agents.server.workerdPid)?.cpuMs ?? Number.NaN) - before
  const object = combined(many, one, (a, b) => Math.max(0, (a - b) / (OBJECTS - 1)))
  const wholeStep = combined(one, object, (a, b) => Math.max(0, a - b))
  return {
    wake: idle,
    object,
    step: combined(wholeStep, idle, (a, b) => Math.max(0, a - b)),
    cpuMsPerMb: Number.isNaN(cpuMs) ? 0 : cpuMs / (lineBytes / 1e6),
  }
}

/** Brings objects of one past hour into the archive; the bytes of their lines. */
async function archiveOld(
  agents: MeterAgents,
  nodes: readonly BenchNode[],
  hoursAgo: number,
  objects: number,
): Promise<number> {
  const { env, environmentId } = agents.server
  const hourMs = Math.floor((Date.now() - hoursAgo * HOUR_MS) / HOUR_MS) * HOUR_MS
  let lineBytes = 0
  for (let object = 0; object < objects; object += 1) {
    const messages = Array.from({ length: MESSAGES }, (_, i) => {
      const node = nodes[i % nodes.length]
      if (node === undefined) throw new Error('there are nodes')
      const { bytes, lineBytes: ofBody } = logBody(node, LINES)
      lineBytes += ofBody
      const { nodeId, ordinal } = node
      // One after another, as counters go: what seems out of order is noted, and costs rows.
      const receivedAtMs = hourMs + object * MINUTE_MS
      const origin = { environmentId, nodeId, ordinal, platform: 'linux', receivedAtMs }
      return encodeMessage({ kind: 'body', origin, body: new Uint8Array(bytes) })
    })
    await env.LOGS.sendBatch(messages.map((body) => ({ body, contentType: 'bytes' as const })))
    await takeUntil(agents, (tally) => tallied(tally, 'consumer', 'archived-late') >= MESSAGES)
  }
  return lineBytes
}

/** Wakes the work and counts until it has swapped so many times and has nothing more to do. */
async function wakeAndCount(agents: MeterAgents, swaps: number): Promise<CompactionShare> {
  const { env, environmentId } = agents.server
  await agents.take()
  await env.COMPACTIONS.send({ format: 1, environmentId })
  const { tally } = await takeUntil(
    agents,
    (counted) =>
      tallied(counted, 'compactions', 'do Archive.swap') >= swaps &&
      tallied(counted, 'compactions', 'done') > 0,
  )
  return {
    workerRequests: tallied(tally, 'compactions', 'requests'),
    queueOperations: tallied(tally, 'compactions', 'queue.operations') + 1,
    objectRequests: tallied(tally, 'compactions', 'do '),
    rowsRead: tallied(tally, 'object Archive.', 'sql.rowsRead'),
    rowsWritten: tallied(tally, 'object Archive.', 'sql.rowsWritten'),
    r2ClassA: tallied(tally, 'compactions', 'r2.a'),
    r2ClassB: tallied(tally, 'compactions', 'r2.b'),
  }
}

async function takeUntil(agents: MeterAgents, isDone: (tally: Tally) => boolean): Promise<Taken> {
  const all = await agents.take()
  const endsAtMs = Date.now() + WITHIN_MS
  while (!isDone(all.tally)) {
    if (Date.now() > endsAtMs) throw new Error('the archive did not do what it was woken for')
    await new Promise((resolve) => setTimeout(resolve, 50))
    addTaken(all, await agents.take())
  }
  return all
}

function combined(
  a: CompactionShare,
  b: CompactionShare,
  by: (a: number, b: number) => number,
): CompactionShare {
  return Object.fromEntries(
    Object.entries(a).map(([key, value]) => [key, by(value, b[key as keyof CompactionShare])]),
  ) as unknown as CompactionShare
}
