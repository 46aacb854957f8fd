/** A fleet's traffic in real time: every node at its own moments of each interval, each request at any isolate. */

import type { BenchNode } from '../nodes.ts'
import { openQueries } from '../queries.ts'
import { addTaken, type MeterAgents, type SendOptions, type Taken } from './agents.ts'
import type { Intervals, Port } from '../../../src/fleet/cost-model.ts'

export interface TrafficOptions {
  nodes: readonly BenchNode[]
  isolates: number
  intervals: Intervals
  lineBytesPerPost: number
  port: Port
  /** Sent before counting begins, so that isolates are warm and their moments spread. */
  warmUpS: number
  countedS: number
}

export interface TrafficCount extends Taken {
  isolates: number
  nodes: number
  seconds: number
  requests: number
}

interface Event {
  atS: number
  kind: 'read' | 'config' | 'log'
  node: BenchNode
}

/** Everything that happens within the time, in order. */
function events({ nodes, intervals, warmUpS, countedS }: TrafficOptions): Event[] {
  const every = [
    ['read', intervals.distributedS],
    ['config', intervals.configS],
    ['log', intervals.logS],
  ] as const
  const all: Event[] = []
  for (const node of nodes) {
    for (const [kind, intervalS] of every) {
      for (let atS = Math.random() * intervalS; atS < warmUpS + countedS; atS += intervalS)
        all.push({ atS, kind, node })
    }
  }
  return all.sort((a, b) => a.atS - b.atS)
}

/** Sends the traffic and tells what was counted after the warm-up. One tick of the cron trigger is part of it. */
export async function countTraffic(agents: MeterAgents, options: TrafficOptions): Promise<TrafficCount> {
  const { nodes, isolates, port, warmUpS, countedS } = options
  await warmIsolates(agents, nodes, isolates)
  const startedAtMs = Date.now()
  const inFlight = new Set<Promise<unknown>>()
  let countingSinceMs: number | null = null
  let requests = 0
  for (const event of events(options)) {
    await until(startedAtMs + event.atS * 1_000)
    if (countingSinceMs === null && event.atS >= warmUpS) {
      await agents.take()
      countingSinceMs = Date.now()
      requests = 0
    }
    requests += 1
    const sent = send(agents, event, { isolate: Math.floor(Math.random() * isolates), port }, options)
    inFlight.add(sent)
    void sent.finally(() => inFlight.delete(sent))
  }
  await until(startedAtMs + (warmUpS + countedS) * 1_000)
  await agents.server.tick()
  await Promise.all(inFlight)
  const seconds = (Date.now() - (countingSinceMs ?? startedAtMs)) / 1_000
  return { ...(await agents.take()), isolates, nodes: nodes.length, seconds, requests }
}

/** Every isolate gets the configuration's part, as it does once in its life. */
async function warmIsolates(
  agents: MeterAgents,
  nodes: readonly BenchNode[],
  isolates: number,
): Promise<void> {
  const numbers = Array.from({ length: isolates }, (_, isolate) => isolate)
  for (let start = 0; start < isolates; start += 20) {
    await Promise.all(
      numbers.slice(start, start + 20).map(async (isolate) => {
        const node = nodes[isolate % nodes.length]
        if (node !== undefined) await agents.config(node, { isolate })
      }),
    )
  }
}

function send(
  agents: MeterAgents,
  { kind, node }: Event,
  sendOptions: SendOptions,
  { lineBytesPerPost }: TrafficOptions,
): Promise<unknown> {
  switch (kind) {
    case 'read':
      return agents.read(node, sendOptions)
    case 'config':
      return agents.config(node, sendOptions)
    case 'log':
      return agents.log(node, lineBytesPerPost, sendOptions)
  }
}

export interface QueryCount extends Taken {
  /** From the operator's query to each node's answer, kept; in milliseconds. */
  answeredMs: number[]
  nodes: number
}

/** One query for all nodes, who poll each `intervalS` and answer at once. Ends when all have polled twice. */
export async function countQuery(
  agents: MeterAgents,
  nodes: readonly BenchNode[],
  isolates: number,
  intervalS: number,
): Promise<QueryCount> {
  await agents.take()
  const openedAtMs = Date.now()
  await openQueries(
    agents.server,
    nodes.map(({ ordinal }) => ordinal),
    1,
    2 * intervalS * 1_000,
  )
  const answeredMs: number[] = []
  const polls = nodes
    .flatMap((node) => {
      const first = Math.random() * intervalS
      return [first, first + intervalS].map((atS) => ({ atS, node }))
    })
    .sort((a, b) => a.atS - b.atS)
  const inFlight: Promise<void>[] = []
  for (const { atS, node } of polls) {
    await until(openedAtMs + atS * 1_000)
    // Once all have answered, the second polls tell nothing more.
    if (answeredMs.length === nodes.length) break
    inFlight.push(
      (async () => {
        const options = { isolate: Math.floor(Math.random() * isolates) }
        const ids = await agents.read(node, options)
        if (ids.length === 0) return
        await agents.write(node, ids, options)
        answeredMs.push(Date.now() - openedAtMs)
      })(),
    )
  }
  await Promise.all(inFlight)
  const taken: Taken = { tally: {}, toArchiveMs: [] }
  addTaken(taken, await agents.take())
  return { ...taken, answeredMs, nodes: nodes.length }
}

async function until(atMs: number): Promise<void> {
  const waitMs = atMs - Date.now()
  if (waitMs > 1) await new Promise((resolve) => setTimeout(resolve, waitMs))
}
