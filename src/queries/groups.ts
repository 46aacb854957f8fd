/**
 * Counts a query's rows over the fleet by the values of columns. The counting is done here, so that agents do not wait for
 * it; how far it came is kept in the shards, so that a count which takes longer than a request goes on with the next one.
 */

import { hexOf, sha256, utf8 } from '../lib/bytes.ts'
import { Deadline } from '../lib/deadline.ts'
import { Pace } from '../lib/pace.ts'
import { ROWS_PER_TURN } from './constants.ts'
import { GroupCount, type RowGroup } from './group-count.ts'
import type { QueryPlace } from './read.ts'
import type { RowFilter } from './row-filter.ts'
import { answerShardStub } from './shard-name.ts'
import { matchingRows } from './walk.ts'

/** After this a request answers with what it has: operators wait 20 s at most. */
const COUNT_WITHIN_MS = 14_000
/** What a kill may cost; what took less is not kept. */
const KEEP_EVERY_MS = 3_000
const SHARD_WITHIN_MS = 10_000
/** What a shard hands over at a time; it is read while the rows before are counted. */
const ANSWERS_AT_ONCE = 500
const BYTES_AT_ONCE = 2 * 1_024 * 1_024

export interface RowGroups {
  /** Most rows first. */
  groups: RowGroup[]
  rows: number
  nodes: number
  /** False: the counts are too low. */
  complete: boolean
  /** The same request again counts on from here. */
  continues: boolean
}

/** Groups the rows that match by these columns, for `withinMs` at most. Throws where a shard does not answer. */
export async function groupRows(
  env: Env,
  environmentId: string,
  query: QueryPlace,
  columns: readonly string[],
  filter: RowFilter,
  withinMs = COUNT_WITHIN_MS,
): Promise<RowGroups> {
  const total = new GroupCount(columns)
  const key = hexOf(await sha256(utf8(JSON.stringify([columns, filter]))))
  const task = { query, key, columns, filter, untilMs: Date.now() + withinMs, steps: 0 }
  let continues = false
  for (let index = 0; index < query.shards; index += 1) {
    const shard = answerShardStub(env, environmentId, query.shards, index)
    const { count, isDone } = await countShard(shard, task)
    total.addCount(count)
    continues ||= !isDone
  }
  const { groups, rows, nodes } = total
  groups.sort((a, b) => b.rows - a.rows)
  return { groups, rows, nodes, complete: total.hasRoom && !continues, continues }
}

interface CountTask {
  query: QueryPlace
  key: string
  columns: readonly string[]
  filter: RowFilter
  untilMs: number
  /** A request that begins too late still does one. */
  steps: number
}

/** Counts on in one shard until it has no more answers, or the time is over. */
async function countShard(
  shard: ReturnType<typeof answerShardStub>,
  task: CountTask,
): Promise<{ count: GroupCount; isDone: boolean }> {
  const { key, columns, filter } = task
  const { number } = task.query
  const run = <T>(call: Promise<T>) => new Deadline(SHARD_WITHIN_MS).run(call)
  const kept = await run(shard.rowCount(number, key))
  const count = kept === null ? new GroupCount(columns) : await GroupCount.fromBytes(kept, columns)
  const pace = new Pace(ROWS_PER_TURN)
  let keptUpTo = count.upTo
  let keptAtMs = Date.now()
  for (;;) {
    const mayGoOn = task.steps === 0 || Date.now() < task.untilMs
    if (count.upTo > keptUpTo && (!mayGoOn || Date.now() - keptAtMs >= KEEP_EVERY_MS)) {
      await run(shard.keepRowCount(number, key, await count.toBytes()))
      keptUpTo = count.upTo
      keptAtMs = Date.now()
    }
    if (!mayGoOn) return { count, isDone: false }
    const arrivals = await run(shard.arrivals(number, count.upTo, ANSWERS_AT_ONCE, BYTES_AT_ONCE))
    if (arrivals.length === 0) return { count, isDone: true }
    task.steps += 1
    for (const arrival of arrivals) {
      const rows = await matchingRows(arrival, filter)
      const seen = new Set<RowGroup>()
      for (let from = 0; from < rows.length; from += ROWS_PER_TURN) {
        const some = rows.slice(from, from + ROWS_PER_TURN)
        count.addRows(some, seen)
        await pace.after(some.length)
      }
      if (rows.length > 0) count.nodes += 1
      count.upTo = arrival.arrival
    }
  }
}
