/**
 * Queries to single nodes while an operator watches: the nodes poll as osqueryd does that was told `accelerate` - five
 * seconds after each reply (spec 2.4) - and their idle reads are held. Each query is asked and waited for over HTTP.
 */

import type { BenchServer } from '../server.ts'
import type { BenchNode } from '../nodes.ts'
import { each, Fleet, pause } from './fleet.ts'
import { rowsOfNode } from './rows.ts'

const NODES = 100
/** What an accelerated agent sleeps between two reads, whatever its interval (spec 2.4). */
const ACCELERATED_POLL_MS = 5_000
const HELD_MS = 6_500
const RHYTHM_MS = ACCELERATED_POLL_MS + HELD_MS
/** As long as the API waits: nobody is given up on because this machine is slow. */
const WAIT_S = 120

export interface WatchedResult {
  nodes: number
  /** From the operator's request to the reply with the node's answer. */
  tookMs: number[]
  /** Requests that failed, or ended without an answer. */
  unanswered: number
  pollsPerNodeAndMinute: number
  seconds: number
  retries: number
}

export async function runWatched(server: BenchServer, short: boolean): Promise<WatchedResult> {
  const fleet = await Fleet.make(server, 'watched', NODES)
  const { nodes, operator } = fleet
  const opened = await operator.openQuery({ all: true })
  await operator.post(`/queries/${opened.id}/watch`)
  await each(nodes, NODES, async (node) => answer(fleet, node, await fleet.readWork(node)))
  const polling = new Polling(fleet)
  const startedAtMs = performance.now()
  const readsBefore = fleet.reads
  const polls = polling.run()
  // Until as many are held as ever will be.
  await pause(HELD_MS)
  const tookMs: number[] = []
  let unanswered = 0
  const queries = short ? 30 : 100
  const overMs = short ? 4_000 : 60_000
  await each(nodes.slice(0, queries), queries, async (node) => {
    await pause(Math.random() * overMs)
    const askedAtMs = performance.now()
    try {
      const body = { sql: 'SELECT host FROM processes', waitSeconds: WAIT_S }
      const { answer } = await operator.post<{ answer: unknown }>(`/nodes/${node.nodeId}/query`, body)
      if (answer === null) unanswered += 1
      else tookMs.push(performance.now() - askedAtMs)
    } catch (error) {
      console.error(String(error))
      unanswered += 1
    }
  })
  const seconds = (performance.now() - startedAtMs) / 1_000
  const reads = fleet.reads - readsBefore
  polling.stop()
  await polls
  return {
    nodes: NODES,
    tookMs,
    unanswered,
    pollsPerNodeAndMinute: reads / NODES / (seconds / 60),
    seconds,
    retries: fleet.retries,
  }
}

async function answer(fleet: Fleet, node: BenchNode, offered: Record<string, string>): Promise<void> {
  const ids = Object.keys(offered)
  if (ids.length > 0) await fleet.write(node, ids, rowsOfNode(node.ordinal, 1))
}

/** Every node in its own rhythm, at any point of it to begin with. */
class Polling {
  readonly #fleet: Fleet
  readonly #over = Promise.withResolvers<void>()
  #isOver = false

  constructor(fleet: Fleet) {
    this.#fleet = fleet
  }

  async run(): Promise<void> {
    await Promise.all(this.#fleet.nodes.map((node) => this.#pollAs(node)))
  }

  stop(): void {
    this.#isOver = true
    this.#over.resolve()
  }

  async #pollAs(node: BenchNode): Promise<void> {
    await this.#sleep(Math.random() * RHYTHM_MS)
    while (!this.#isOver) {
      await answer(this.#fleet, node, await this.#fleet.read(node))
      await this.#sleep(ACCELERATED_POLL_MS)
    }
  }

  /** Sleeps until then, or until all is over. */
  async #sleep(ms: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined
    const slept = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms)
    })
    await Promise.race([slept, this.#over.promise])
    clearTimeout(timer)
  }
}
