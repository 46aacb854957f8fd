/**
 * What the environment's object does with queries that are over: tells their shards, so that results move to R2, and
 * erases what an operator erased or what is too old. All of it by what D1 says, so that a lost step is made up for.
 */

import { forgetQuery, listErased } from '../db/query-life.ts'
import {
  beginErasure,
  endErasure,
  listExpiredResults,
  listToHandOver,
  markHandedOver,
  type ClosedQuery,
} from '../db/query-results.ts'
import { readCounts } from '../queries/read.ts'
import { answerShardStub } from '../queries/shard-name.ts'

/** Queries of one round: an alarm has 15 minutes (Cloudflare limits), and other duties. */
const HANDED_OVER_AT_ONCE = 200
const ERASED_AT_ONCE = 20

/** Tells the shards of closed queries. True: there are more. Throws when one does not answer. */
export async function handOverClosed(env: Env, environmentId: string): Promise<boolean> {
  const closed = await listToHandOver(env.DB, environmentId, HANDED_OVER_AT_ONCE)
  for (const [shards, queries] of Map.groupBy(closed, (query) => query.shards)) {
    const numbers = queries.map(({ number }) => number)
    for (let shard = 0; shard < shards; shard += 1)
      await answerShardStub(env, environmentId, shards, shard).close(numbers)
    await markHandedOver(env.DB, environmentId, numbers)
  }
  return closed.length === HANDED_OVER_AT_ONCE
}

/** Erases results that were kept long enough. True: there are more. Throws when a shard does not answer. */
export async function eraseExpired(env: Env, environmentId: string, nowMs: number): Promise<boolean> {
  const expired = await listExpiredResults(env.DB, environmentId, nowMs, ERASED_AT_ONCE)
  let waiting = 0
  for (const query of expired) {
    if (query.isToCount) {
      // Answers that are no log lines yet would never be any.
      if (await isLogging(env, environmentId, query)) {
        waiting += 1
        continue
      }
      const counts = await readCounts(env, environmentId, query)
      await beginErasure(env.DB, environmentId, query.number, counts, nowMs)
    }
    await eraseFromShards(env, environmentId, query)
    await endErasure(env.DB, environmentId, query.number)
  }
  return expired.length === ERASED_AT_ONCE && waiting < ERASED_AT_ONCE
}

/** Erases the answers of erased queries from every shard, and only then forgets the query itself. */
export async function eraseForgotten(env: Env, environmentId: string): Promise<void> {
  for (const query of await listErased(env.DB, environmentId)) {
    await eraseFromShards(env, environmentId, query)
    await forgetQuery(env.DB, environmentId, query.number)
  }
}

async function eraseFromShards(env: Env, environmentId: string, { number, shards }: ClosedQuery) {
  for (let shard = 0; shard < shards; shard += 1)
    await answerShardStub(env, environmentId, shards, shard).erase(number)
}

async function isLogging(env: Env, environmentId: string, { number, shards }: ClosedQuery): Promise<boolean> {
  for (let shard = 0; shard < shards; shard += 1)
    if (await answerShardStub(env, environmentId, shards, shard).isLogging(number)) return true
  return false
}
