/** Fetches a viewer's next rows from the shards, a batch at a time. */

import { controlDb } from '../db/control.ts'
import { hostnamesOf } from '../db/targets.ts'
import type { Bytes } from '../lib/bytes.ts'
import { gunzip } from '../lib/compression.ts'
import { Deadline } from '../lib/deadline.ts'
import type { ArrivalWithRows } from './arrival-store.ts'
import { MAX_ANSWER_BYTES } from './constants.ts'
import { rowLines, rowStart } from './feed-lines.ts'
import type { WatchedQuery } from './feed-store.ts'
import { splitRows } from './rows.ts'
import { answerShardStub } from './shard-name.ts'
import type { ViewerPlace } from './viewer-place.ts'

/** What one shard hands over at a time: small, because agents wait for the same object. */
const ANSWERS_AT_ONCE = 100
const BYTES_AT_ONCE = 256 * 1_024
const SHARD_WITHIN_MS = 3_000
const HOSTNAMES_WITHIN_MS = 2_000
/** Host names that a Feed remembers; names come from D1, and the same nodes answer again and again. */
const MAX_HOSTNAMES = 50_000

export interface RowBatch {
  lines: string[]
  place: ViewerPlace
}

export class FeedRows {
  readonly #env: Env
  readonly #hostnames = new Map<string, string>()
  /** The answer that was inflated last: a large one is shown in many batches. */
  #opened: { shard: number; arrival: number; rows: Bytes[] } | null = null

  constructor(env: Env) {
    this.#env = env
  }

  /** At most `maxRows` rows of this shard after the place. Throws when the shard does not answer. */
  async next(query: WatchedQuery, place: ViewerPlace, shard: number, maxRows: number): Promise<RowBatch> {
    const after = place.arrivals[shard] ?? 0
    const { environmentId, shards, number } = query
    const stub = answerShardStub(this.#env, environmentId, shards, shard)
    const asked = stub.arrivals(number, after, ANSWERS_AT_ONCE, BYTES_AT_ONCE)
    const arrivals = await new Deadline(SHARD_WITHIN_MS).run(asked)
    const names = await this.#namesOf(environmentId, arrivals)
    const next = { arrivals: [...place.arrivals], rows: [...place.rows] }
    const starts: string[] = []
    for (const arrival of arrivals) {
      const rows = await this.#rowsOf(shard, arrival)
      let row = next.rows[shard] ?? 0
      for (; row < rows.length && starts.length < maxRows; row += 1) {
        const columns = rows[row]
        if (columns !== undefined)
          starts.push(rowStart(arrival, names.get(arrival.nodeId) ?? null, row, columns))
      }
      if (row < rows.length) {
        next.rows[shard] = row
        break
      }
      next.arrivals[shard] = arrival.arrival
      next.rows[shard] = 0
    }
    return { lines: rowLines(starts, next), place: next }
  }

  async #rowsOf(shard: number, { arrival, rows }: ArrivalWithRows): Promise<Bytes[]> {
    if (rows === null) return []
    if (this.#opened?.shard === shard && this.#opened.arrival === arrival) return this.#opened.rows
    const plain = await gunzip(rows, 2 * MAX_ANSWER_BYTES)
    if (!plain.ok) throw new Error('rows that we stored do not inflate')
    this.#opened = { shard, arrival, rows: splitRows(plain.value) }
    return this.#opened.rows
  }

  /** Names by node id. Rows are worth more than names: with D1 away they go on without. */
  async #namesOf(environmentId: string, arrivals: readonly ArrivalWithRows[]): Promise<Map<string, string>> {
    const unknown = arrivals.map(({ nodeId }) => nodeId).filter((nodeId) => !this.#hostnames.has(nodeId))
    if (unknown.length === 0) return this.#hostnames
    if (this.#hostnames.size > MAX_HOSTNAMES) this.#hostnames.clear()
    try {
      const found = hostnamesOf(controlDb(this.#env.DB), environmentId, unknown)
      const names = await new Deadline(HOSTNAMES_WITHIN_MS).run(found)
      for (const [nodeId, name] of names) this.#hostnames.set(nodeId, name)
    } catch {
      // Not the error itself: drizzle's has the statement and its parameters in it.
      console.warn(JSON.stringify({ event: 'feed-without-hostnames', nodes: unknown.length }))
    }
    return this.#hostnames
  }
}
