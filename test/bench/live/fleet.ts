/** The nodes of one environment, who read and write when they are told, through several isolates. */

import { Agent, request } from 'undici'
import { insertNodes, makeNodes, type BenchNode } from '../nodes.ts'
import type { BenchServer } from '../server.ts'
import { makeEnvironment, type Operator } from './operator.ts'
import type { BenchRow } from './rows.ts'

/** Isolates that the fleet's requests are spread over. */
export const ISOLATES = 4
/** How soon a node reads again that was not offered what it waits for. */
const READ_AGAIN_AFTER_MS = 250
const OFFERED_WITHIN_MS = 60_000
const WRITE_AGAIN_AFTER_MS = 1_000

/** Queries that were offered, SQL by id. */
export type Offered = Record<string, string>

export class Fleet {
  readonly nodes: readonly BenchNode[]
  readonly operator: Operator
  readonly environmentId: string
  reads = 0
  /** Replies that said to come back: a server that is too slow for its deadline says so. */
  retries = 0
  readonly #server: BenchServer
  #agent = new Agent()
  #base: URL | null = null

  private constructor(server: BenchServer, environmentId: string, operator: Operator, nodes: BenchNode[]) {
    this.#server = server
    this.environmentId = environmentId
    this.operator = operator
    this.nodes = nodes
  }

  /** An environment of its own with so many nodes in its inventory. */
  static async make(server: BenchServer, name: string, count: number): Promise<Fleet> {
    const { id, operator } = await makeEnvironment(server, name)
    const place = { ...server, environmentId: id }
    const nodes = await makeNodes(place, count)
    await insertNodes(place, nodes)
    return new Fleet(server, id, operator, nodes)
  }

  /** What a read offers now. */
  async read(node: BenchNode): Promise<Offered> {
    this.reads += 1
    const reply = await this.#post('distributed/read', node, JSON.stringify({ node_key: node.nodeKey }))
    return (reply?.['queries'] ?? {}) as Offered
  }

  /** Reads until there is something. */
  async readWork(node: BenchNode): Promise<Offered> {
    const endsAtMs = Date.now() + OFFERED_WITHIN_MS
    for (;;) {
      const offered = await this.read(node)
      if (Object.keys(offered).length > 0) return offered
      if (Date.now() > endsAtMs) throw new Error('a node was offered nothing')
      await pause(READ_AGAIN_AFTER_MS)
    }
  }

  /**
   * Answers these queries, all with the same rows, as often as it is told to come back: osqueryd tries three times
   * (spec 1.3), here until it is taken. Throws where the connection breaks.
   */
  async write(node: BenchNode, ids: readonly string[], rows: readonly BenchRow[]): Promise<void> {
    const body = {
      node_key: node.nodeKey,
      queries: Object.fromEntries(ids.map((id) => [id, rows])),
      statuses: Object.fromEntries(ids.map((id) => [id, 0])),
    }
    const text = JSON.stringify(body)
    while ((await this.#post('distributed/write', node, text)) === null) await pause(WRITE_AGAIN_AFTER_MS)
  }

  /** The server died: new connections, to where it is now. */
  reconnect(): void {
    void this.#agent.destroy()
    this.#agent = new Agent()
    this.#base = null
  }

  /** The reply's object; null: the node is to come back. */
  async #post(path: string, node: BenchNode, body: string): Promise<Record<string, unknown> | null> {
    this.#base ??= await this.#server.url()
    const reply = await request(new URL(`/api/osquery/${path}`, this.#base), {
      method: 'POST',
      body,
      dispatcher: this.#agent,
      headers: {
        'content-type': 'application/json',
        authorization: `NodeKey ${node.nodeKey}`,
        // Not the same division as that into shards.
        'x-bench-isolate': String(Math.floor(node.ordinal / 7) % ISOLATES),
      },
    })
    const text = await reply.body.text()
    if (reply.statusCode === 200) return JSON.parse(text) as Record<string, unknown>
    this.retries += 1
    return null
  }
}

/** Runs `act` for each, so many at once. */
export async function each<T>(
  items: readonly T[],
  atOnce: number,
  act: (item: T) => Promise<unknown>,
): Promise<void> {
  const left = items.values()
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      // One iterator for all: each takes the next.
      for (const item of left) await act(item)
    }),
  )
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
