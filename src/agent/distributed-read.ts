/** POST …/distributed/read: which queries a node is to run (spec 2.4, 5.2). Nothing pending costs nothing. */

import { answerShardStub } from '../queries/shard-name.ts'
import type { HeadQuery } from '../snapshot/head.ts'
import { shardOf } from '../snapshot/remaining.ts'
import { authenticate, type AuthenticatedNode } from './authenticate.ts'
import { readSmallObject, textMember } from './body.ts'
import type { AgentContext } from './context.ts'
import { answer, DONE, retry, type AgentOutcome } from './outcome.ts'
import { makeQueryId } from './query-id.ts'

/** Agents from 2.4 to 5.7 skip ids without a discovery entry, or run all: so every id has one, and one more (5.2). */
const ALWAYS = 'SELECT 1'

export async function distributedRead(context: AgentContext): Promise<AgentOutcome> {
  const body = await readSmallObject(context.request, context.deadline)
  if (!body.ok) return retry(body.reason)
  const node = await authenticate(context, textMember(body.value, 'node_key'))
  if (!node.ok) return node.reason
  context.presence.note(context, node.value.identity, 'read')
  const targeting = await queriesTargeting(context, node.value)
  return targeting.length === 0 ? DONE : offer(context, node.value, targeting)
}

/** The open queries that may still wait for this node, as far as the snapshot knows. */
async function queriesTargeting(
  context: AgentContext,
  { identity, head }: AuthenticatedNode,
): Promise<HeadQuery[]> {
  const targeting: HeadQuery[] = []
  for (const query of head.queries) {
    if (query.expiresAtMs <= context.receivedAtMs) continue
    const targets = await context.snapshots.nodeSet(identity.environmentId, query.targetPart, context)
    if (targets.has(identity.ordinal)) targeting.push(query)
  }
  return targeting
}

async function offer(
  context: AgentContext,
  { identity }: AuthenticatedNode,
  targeting: readonly HeadQuery[],
): Promise<AgentOutcome> {
  const { environmentId, ordinal } = identity
  const queries: Record<string, string> = {}
  const discovery: Record<string, string> = {}
  for (const [shards, group] of Map.groupBy(targeting, (query) => query.shards)) {
    const shard = answerShardStub(context.env, environmentId, shards, shardOf(ordinal, shards))
    const numbers = group.map(({ number }) => number)
    for (const { number, sql } of await context.deadline.run(shard.read(ordinal, numbers))) {
      const id = await makeQueryId(context.keys, { environmentId, number, shards, ordinal })
      queries[id] = sql
      discovery[id] = ALWAYS
    }
  }
  if (Object.keys(queries).length === 0) return DONE
  discovery['_always'] = ALWAYS
  return answer(JSON.stringify({ queries, discovery }))
}
