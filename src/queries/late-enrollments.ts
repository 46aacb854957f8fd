/**
 * Asks nodes that enrolled after a query was opened, where the query wants them: its targets are looked up again while it
 * is open. First its shards know of them, then D1, then the head: nobody is sent to a shard that would turn it away.
 */

import { controlDb } from '../db/control.ts'
import {
  noteLateTargets,
  queriesWithLateNodes,
  targetsOfQuery,
  type LateQuery,
} from '../db/late-enrollments.ts'
import type { NodeSet } from '../fleet/node-set.ts'
import { readTargets } from '../fleet/targeting.ts'
import { shardOf } from '../snapshot/remaining.ts'
import { answerShardStub } from './shard-name.ts'
import { TargetResolver } from './target-resolver.ts'

/** One minute's work; the rest waits for the next. */
const QUERIES_AT_ONCE = 50

/** One tick. A failure of one query leaves it to the next tick. */
export async function askLateEnrollments(env: Env, nowMs: number): Promise<void> {
  for (const query of await queriesWithLateNodes(env.DB, nowMs, QUERIES_AT_ONCE)) {
    try {
      await askLate(env, query, nowMs)
    } catch (error) {
      console.error(JSON.stringify({ event: 'late-enrollments-later', error: String(error) }))
    }
  }
}

async function askLate(env: Env, query: LateQuery, nowMs: number): Promise<void> {
  const late = await lateTargets(env, query, nowMs)
  if (late.size === 0) {
    await noteLateTargets(env.DB, query, null)
    return
  }
  const { environmentId, number, shards } = query
  for (let shard = 0; shard < shards; shard += 1) {
    const added = late.filter((ordinal) => shardOf(ordinal, shards) === shard)
    // A shard that does not know the query yet will learn it with its new targets.
    if (added.size > 0)
      await answerShardStub(env, environmentId, shards, shard).addTargets(
        number,
        added.toBytes(),
        query.highestOrdinal,
      )
  }
  const targets = await targetsOfQuery(env.DB, query)
  targets.addAll(late)
  const revision = await noteLateTargets(env.DB, query, targets)
  if (revision !== null) await env.ENVIRONMENT.getByName(environmentId).refresh(revision, false)
}

/** The nodes that enrolled since and that the targets mean. */
async function lateTargets(env: Env, query: LateQuery, nowMs: number): Promise<NodeSet> {
  const targets = readTargets(JSON.parse(query.targets))
  if (!targets.ok) throw new Error('a query keeps targets that cannot be read')
  const { environmentId, lateFrom, highestOrdinal } = query
  const resolver = new TargetResolver({ env, db: controlDb(env.DB), environmentId, nowMs })
  // What was known when it was opened may be gone: a tag that nobody has now means nobody.
  const meant = await resolver.resolve(targets.value, '')
  return meant.filter((ordinal) => ordinal > lateFrom && ordinal <= highestOrdinal)
}
