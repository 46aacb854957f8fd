/** Agents as far as the meter needs them: requests of the right shape and size, sent when told. */

import { ENROLL_SECRET, type BenchServer } from '../server.ts'
import { logBody, resultLine, type LogBody } from '../log-body.ts'
import type { BenchNode } from '../nodes.ts'
import type { Port } from '../../../src/fleet/cost-model.ts'
import type { Tally } from './tally.ts'

/** What was counted and how long lines took to the archive, since it was last asked. */
export interface Taken {
  tally: Tally
  toArchiveMs: number[]
}

export interface SendOptions {
  isolate?: number
  port?: Port
}

/** One in so many log POSTs brings status lines, the others results. */
const STATUS_EVERY = 10
const LINE_BYTES = JSON.stringify(resultLine('3f7a2c1e-8b0d-4c55-9a9e-1d2f3a4b5c6d', 1)).length + 1

export class MeterAgents {
  readonly server: BenchServer
  readonly #base: URL
  /** Replies that were not 200. */
  failures = 0
  #logs = 0
  /** From each log POST so far to the archive. */
  readonly toArchiveMs: number[] = []

  constructor(server: BenchServer, base: URL) {
    this.server = server
    this.#base = base
  }

  /** POSTs to a path below /api/osquery; the reply's object. */
  async post(
    path: string,
    body: string | Uint8Array,
    headers: Record<string, string> = {},
    { isolate = 0, port = 'queue' }: SendOptions = {},
  ): Promise<Record<string, unknown>> {
    const reply = await fetch(new URL(`/api/osquery/${path}`, this.#base), {
      method: 'POST',
      body: body as string,
      headers: { ...headers, 'x-bench-isolate': String(isolate), 'x-bench-port': port },
    })
    const text = await reply.text()
    if (reply.status === 200) return JSON.parse(text) as Record<string, unknown>
    this.failures += 1
    return {}
  }

  config(node: BenchNode, options?: SendOptions) {
    return this.post('config', keyBody(node), keyHeader(node), options)
  }

  /** The ids of the queries that are offered. */
  async read(node: BenchNode, options?: SendOptions): Promise<string[]> {
    const { queries } = await this.post('distributed/read', keyBody(node), keyHeader(node), options)
    return Object.keys((queries ?? {}) as object)
  }

  /** Answers these queries with one row each. */
  write(node: BenchNode, ids: readonly string[], options?: SendOptions) {
    const rows = [{ name: 'Ubuntu', version: '24.04.1 LTS (Noble Numbat)' }]
    const body = {
      node_key: node.nodeKey,
      queries: Object.fromEntries(ids.map((id) => [id, rows])),
      statuses: Object.fromEntries(ids.map((id) => [id, 0])),
    }
    return this.post('distributed/write', JSON.stringify(body), keyHeader(node), options)
  }

  /** A compressed log POST with about so many bytes of lines. */
  async log(node: BenchNode, lineBytes: number, options?: SendOptions): Promise<LogBody> {
    this.#logs += 1
    const type = this.#logs % STATUS_EVERY === 0 ? ('status' as const) : ('result' as const)
    const body = logBody(node, Math.max(1, Math.round(lineBytes / LINE_BYTES)), { type })
    await this.post('log', body.bytes, { ...body.headers, ...keyHeader(node) }, options)
    return body
  }

  enroll(host: string) {
    const uuid = crypto.randomUUID()
    const host_details = {
      system_info: { hostname: host, uuid },
      os_version: { platform: 'ubuntu' },
      osquery_info: { version: '5.23.1', build_platform: 'linux', instance_id: uuid },
    }
    const body = { enroll_secret: ENROLL_SECRET, host_identifier: uuid, platform_type: '9', host_details }
    return this.post('enroll', JSON.stringify(body))
  }

  /** A carve of these bytes in blocks of that size, all of it. */
  async carve(node: BenchNode, bytes: number, blockBytes: number): Promise<number> {
    const blocks = Math.ceil(bytes / blockBytes)
    const request_id = crypto.randomUUID()
    const announced = {
      block_count: blocks,
      block_size: blockBytes,
      carve_size: bytes,
      carve_id: crypto.randomUUID(),
      request_id,
      node_key: node.nodeKey,
    }
    const { session_id } = await this.post('carve/begin', JSON.stringify(announced), keyHeader(node))
    for (let block_id = 0; block_id < blocks; block_id += 1) {
      const size = Math.min(blockBytes, bytes - block_id * blockBytes)
      const data = Buffer.alloc(size, block_id).toString('base64')
      await this.post(
        'carve/block',
        JSON.stringify({ block_id, session_id, request_id, data }),
        keyHeader(node),
      )
    }
    return blocks
  }

  /** What was counted since this was last called. */
  async take(): Promise<Taken> {
    const taken = (await (await fetch(new URL('/bench/tally', this.#base))).json()) as Taken
    this.toArchiveMs.push(...taken.toArchiveMs)
    return taken
  }

  /** Waits until every log POST so far is in the archive; all that was counted meanwhile. */
  async takeWhenArchived(withinMs = 30_000): Promise<Taken> {
    const all: Taken = await this.take()
    const endsAtMs = Date.now() + withinMs
    while (this.toArchiveMs.length < this.#logs) {
      if (Date.now() > endsAtMs)
        throw new Error(`${this.toArchiveMs.length} of ${this.#logs} log POSTs were archived`)
      await new Promise((resolve) => setTimeout(resolve, 200))
      addTaken(all, await this.take())
    }
    return all
  }
}

export function addTaken(all: Taken, more: Taken): void {
  for (const [key, value] of Object.entries(more.tally)) all.tally[key] = (all.tally[key] ?? 0) + value
  all.toArchiveMs.push(...more.toArchiveMs)
}

/** Everything under scopes and metrics that begin like this. */
export function tallied(tally: Tally, scope: string, metric: string): number {
  let total = 0
  for (const [key, value] of Object.entries(tally)) {
    const [itsScope = '', itsMetric = ''] = key.split('|')
    if (itsScope.startsWith(scope) && itsMetric.startsWith(metric)) total += value
  }
  return total
}

function keyBody({ nodeKey }: BenchNode): string {
  return JSON.stringify({ node_key: nodeKey })
}

function keyHeader({ nodeKey }: BenchNode): Record<string, string> {
  return { authorization: `NodeKey ${nodeKey}` }
}
