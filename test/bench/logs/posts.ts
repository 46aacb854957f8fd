/** Log POSTs that are sent until they are taken, as agents do. */

import { logBody } from '../log-body.ts'
import type { BenchNode } from '../nodes.ts'
import type { Port } from '../../../src/fleet/cost-model.ts'

/** An agent comes back after its period; a benchmark cannot wait that long. */
const RESEND_AFTER_MS = 100
const MAX_RESEND_AFTER_MS = 2_000
/** An agent gives up at 16 s (spec 1.3). */
const GIVE_UP_AFTER_MS = 16_000
/** One in so many brings status lines. */
const STATUS_EVERY = 10
/** Nodes that send by turns. */
const NODES_OF_GROUP = 16
const GIVEN_UP_AFTER = 200

export interface PostCount {
  acknowledged: number
  lines: number
  /** Requests that were answered with anything but `{}`, or not at all; sent again. */
  refused: number
}

export class Poster {
  readonly count: PostCount = { acknowledged: 0, lines: 0, refused: 0 }
  readonly #url: URL
  readonly #nodes: readonly BenchNode[]
  #made = 0
  #group = 0

  constructor(base: URL, nodes: readonly BenchNode[]) {
    this.#url = new URL('/api/osquery/log', base)
    this.#nodes = nodes
  }

  /** Sends from other nodes than so far: the consumer has not asked D1 for them yet. */
  nextNodes(): void {
    this.#group += 1
  }

  /** Sends the next POST of so many lines, every second one through the other ack port, until it is taken. */
  async post(lines: number, port: Port = this.#made % 2 === 0 ? 'queue' : 'inbox'): Promise<void> {
    const node =
      this.#nodes[(this.#group * NODES_OF_GROUP + (this.#made % NODES_OF_GROUP)) % this.#nodes.length]
    if (node === undefined) throw new Error('there are nodes')
    this.#made += 1
    const type = this.#made % STATUS_EVERY === 0 ? ('status' as const) : ('result' as const)
    const { bytes, headers } = logBody(node, lines, { type })
    const all = { ...headers, authorization: `NodeKey ${node.nodeKey}`, 'x-bench-port': port }
    for (let attempt = 0; attempt < GIVEN_UP_AFTER; attempt += 1) {
      if (await this.#send(bytes, all)) {
        this.count.acknowledged += 1
        this.count.lines += lines
        return
      }
      this.count.refused += 1
      const afterMs = Math.min(MAX_RESEND_AFTER_MS, RESEND_AFTER_MS * 2 ** attempt)
      await new Promise((resolve) => setTimeout(resolve, afterMs))
    }
    throw new Error('a POST was refused for minutes')
  }

  async #send(body: Uint8Array<ArrayBuffer>, headers: Record<string, string>): Promise<boolean> {
    try {
      const signal = AbortSignal.timeout(GIVE_UP_AFTER_MS)
      const reply = await fetch(this.#url, { method: 'POST', body, headers, signal })
      return (await reply.text()) === '{}' && reply.status === 200
    } catch {
      // No answer: an agent sends it again, too.
      return false
    }
  }
}
