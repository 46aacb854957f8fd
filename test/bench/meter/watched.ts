/**
 * A fleet that an operator watches, in real time: nodes poll as osqueryd does that was told `accelerate` - five seconds
 * after each reply (spec 2.4) - and their idle reads are held. Then queries are opened, one after another.
 */

import type { BenchNode } from '../nodes.ts'
import { openQueries } from '../queries.ts'
import { addTaken, tallied, type MeterAgents, type Taken } from './agents.ts'

/** What an accelerated agent sleeps between two reads, whatever its interval (spec 2.4). */
const ACCELERATED_POLL_MS = 5_000
/** A held read and the sleep after it (agent/hold.ts): queries come at any moment of that rhythm. */
const RHYTHM_MS = 11_000
/** Whoever is left out of one round is in the next. */
const WITHIN_MS = 2 * RHYTHM_MS
const EXPIRES_IN_MS = 120_000

export interface WatchedCount extends Taken {
  nodes: number
  isolates: number
  seconds: number
  queries: number
  /** From the operator's query to the reply to each node's write, in milliseconds, of all queries together. */
  answeredMs: number[]
  /** The same of the first node of each query. */
  firstMs: number[]
}

/** Reads of one node in an hour while it is watched. */
export function watchedReadsPerHour({ tally, nodes, seconds }: WatchedCount): number {
  return (tallied(tally, 'request distributed/read', 'requests') / nodes / seconds) * 3_600
}

/** Refreshes of the head that one isolate asks for in an hour while it holds reads. */
export function watchedHeadsPerHour({ tally, isolates, seconds }: WatchedCount): number {
  return (tallied(tally, 'isolate', 'do Environment.head') / isolates / seconds) * 3_600
}

export async function countWatched(
  agents: MeterAgents,
  nodes: readonly BenchNode[],
  isolates: number,
  queries: number,
): Promise<WatchedCount> {
  const fleet = new WatchedFleet(agents, nodes, isolates)
  const ordinals = nodes.map(({ ordinal }) => ordinal)
  const [first] = await openQueries(agents.server, ordinals, 1, EXPIRES_IN_MS)
  if (first === undefined) throw new Error('a query was opened')
  await agents.server.env.ENVIRONMENT.getByName(agents.server.environmentId).watch(first.number)
  const polling = fleet.poll()
  // The first query is what makes the nodes fast: after it they are in the rhythm that is measured.
  await fleet.answered(nodes.length, WITHIN_MS)
  await agents.take()
  const countingSinceMs = Date.now()
  const answeredMs: number[] = []
  const firstMs: number[] = []
  for (let i = 0; i < queries; i += 1) {
    await pause(Math.random() * RHYTHM_MS)
    const openedAtMs = Date.now()
    fleet.answersAtMs = []
    await openQueries(agents.server, ordinals, 1, EXPIRES_IN_MS)
    await fleet.answered(nodes.length, WITHIN_MS)
    const tookMs = fleet.answersAtMs.map((atMs) => atMs - openedAtMs)
    answeredMs.push(...tookMs)
    if (tookMs.length > 0) firstMs.push(Math.min(...tookMs))
  }
  const seconds = (Date.now() - countingSinceMs) / 1_000
  const taken: Taken = { tally: {}, toArchiveMs: [] }
  addTaken(taken, await agents.take())
  fleet.stop()
  await polling
  return { ...taken, nodes: nodes.length, isolates, seconds, queries, answeredMs, firstMs }
}

class WatchedFleet {
  /** When a write was acknowledged. */
  answersAtMs: number[] = []
  readonly #agents: MeterAgents
  readonly #nodes: readonly BenchNode[]
  readonly #isolates: number
  #isOver = false

  constructor(agents: MeterAgents, nodes: readonly BenchNode[], isolates: number) {
    this.#agents = agents
    this.#nodes = nodes
    this.#isolates = isolates
  }

  /** Every node in its own rhythm, until `stop`. */
  async poll(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => this.#pollAs(node)))
  }

  stop(): void {
    this.#isOver = true
  }

  /** Waits until so many have answered, or for so long. */
  async answered(count: number, withinMs: number): Promise<void> {
    const endsAtMs = Date.now() + withinMs
    while (this.answersAtMs.length < count && Date.now() < endsAtMs) await pause(20)
  }

  async #pollAs(node: BenchNode): Promise<void> {
    await pause(Math.random() * RHYTHM_MS)
    while (!this.#isOver) {
      const options = { isolate: Math.floor(Math.random() * this.#isolates) }
      const ids = await this.#agents.read(node, options)
      if (ids.length > 0) {
        await this.#agents.write(node, ids, options)
        this.answersAtMs.push(Date.now())
      }
      if (!this.#isOver) await pause(ACCELERATED_POLL_MS)
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
