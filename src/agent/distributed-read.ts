/**
 * POST …/distributed/read: which queries a node is to run (spec 2.4, 5.2). Nothing pending costs nothing. A node that is
 * accelerated because an operator watches is told so each time, and its idle reads are held.
 */

import { accelerateLeaseS } from '../fleet/acceleration.ts'
import { MAX_OFFERED_SQL_BYTES } from '../queries/constants.ts'
import { answerShardStub } from '../queries/shard-name.ts'
import { offeredBytes } from '../queries/shard-offers.ts'
import type { EnvironmentHead, HeadQuery } from '../snapshot/head.ts'
import { shardOf } from '../snapshot/remaining.ts'
import { authenticate, recognise, type AuthenticatedNode } from './authenticate.ts'
import { readSmallObject, textMember } from './body.ts'
import type { AgentContext } from './context.ts'
import { ALWAYS, discoveryMembers } from './discovery.ts'
import { holdRead } from './hold.ts'
import type { NodeIdentity } from './node-key.ts'
import { answer, DONE, retry, type AgentOutcome } from './outcome.ts'
import { makeQueryId } from './query-id.ts'

/** Queries for a node, as the reply's members. */
interface Work {
  queries: Record<string, string>
  discovery: Record<string, string>
}

export function distributedRead(context: AgentContext): AgentOutcome | Promise<AgentOutcome> {
  const node = recognise(context)
  return node === null ? readOfAnyone(context) : replyTo(context, node)
}

async function readOfAnyone(context: AgentContext): Promise<AgentOutcome> {
  const body = await readSmallObject(context.request, context.deadline)
  if (!body.ok) return retry(body.reason)
  const node = await authenticate(context, textMember(body.value, 'node_key'))
  return node.ok ? replyTo(context, node.value) : node.reason
}

function replyTo(context: AgentContext, node: AuthenticatedNode): AgentOutcome | Promise<AgentOutcome> {
  context.presence.note(context, node.identity, 'read')
  return node.isPending || isIdle(context, node) ? DONE : replyWithWork(context, node)
}

/** Whether this isolate's memory alone says that nothing concerns this node: so it is for nearly every read. */
function isIdle({ snapshots }: AgentContext, { identity, head }: AuthenticatedNode): boolean {
  const mayConcern = (part: string) => snapshots.known.nodeSet(part)?.has(identity.ordinal) ?? true
  if (head.accelerated !== undefined && mayConcern(head.accelerated.part)) return false
  return !head.queries.some((query) => isLate(query, identity.ordinal) || mayConcern(query.targetPart))
}

/** Whether a node enrolled after the query was opened for all: no part is looked into, nor is it asked of anybody else. */
function isLate({ openFrom }: HeadQuery, ordinal: number): boolean {
  return openFrom !== undefined && ordinal > openFrom
}

async function replyWithWork(context: AgentContext, node: AuthenticatedNode): Promise<AgentOutcome> {
  const { identity, head } = node
  const asked = new Set<number>()
  const work = await newWork(context, identity, head, asked)
  const leaseS = await leaseOf(context, identity, head)
  if (leaseS === 0) return work === null ? DONE : reply(work, 0)
  return reply(work ?? (await heldWork(context, identity, asked)), leaseS)
}

/** Waits for work that was not asked for yet. A node that stops being accelerated is let go. */
async function heldWork(
  context: AgentContext,
  identity: NodeIdentity,
  asked: Set<number>,
): Promise<Work | null> {
  const held = await holdRead(context, identity.environmentId, async (head) => {
    const work = await newWork(context, identity, head, asked)
    if (work !== null) return work
    return (await leaseOf(context, identity, head)) === 0 ? 'let-go' : null
  })
  return held === 'let-go' ? null : held
}

/** What the shards have for this node, of the open queries of the head that were not asked for yet. */
async function newWork(
  context: AgentContext,
  identity: NodeIdentity,
  head: EnvironmentHead,
  asked: Set<number>,
): Promise<Work | null> {
  const targeting = await queriesTargeting(context, identity, head, asked)
  if (targeting.length === 0) return null
  for (const { number } of targeting) asked.add(number)
  return offer(context, identity, targeting)
}

/** The open queries that may still wait for this node, as far as the snapshot knows. */
async function queriesTargeting(
  context: AgentContext,
  { environmentId, ordinal }: NodeIdentity,
  head: EnvironmentHead,
  asked: ReadonlySet<number>,
): Promise<HeadQuery[]> {
  const targeting: HeadQuery[] = []
  for (const query of head.queries) {
    if (query.expiresAtMs <= context.receivedAtMs || asked.has(query.number)) continue
    const isMeant =
      isLate(query, ordinal) ||
      (await context.snapshots.nodeSet(environmentId, query.targetPart, context)).has(ordinal)
    if (isMeant) targeting.push(query)
  }
  return targeting
}

/** For how many seconds this node is to poll fast; 0: it is not accelerated. */
async function leaseOf(
  context: AgentContext,
  { environmentId, ordinal }: NodeIdentity,
  { accelerated }: EnvironmentHead,
): Promise<number> {
  if (accelerated === undefined) return 0
  const leaseS = accelerateLeaseS(accelerated.untilMs, Date.now())
  if (leaseS === 0) return 0
  const nodes = await context.snapshots.nodeSet(environmentId, accelerated.part, context)
  return nodes.has(ordinal) ? leaseS : 0
}

async function offer(
  context: AgentContext,
  { environmentId, ordinal }: NodeIdentity,
  targeting: readonly HeadQuery[],
): Promise<Work | null> {
  const work: Work = { queries: {}, discovery: {} }
  let room = MAX_OFFERED_SQL_BYTES
  let failure: unknown = null
  // One call for all queries, but where the number of shards was changed while queries are open: one for each.
  for (const [shards, group] of Map.groupBy(targeting, (query) => query.shards)) {
    if (room <= 0) break
    const shard = answerShardStub(context.env, environmentId, shards, shardOf(ordinal, shards))
    const numbers = group.map(({ number }) => number)
    try {
      for (const query of await context.deadline.run(shard.read(ordinal, numbers, room))) {
        room -= offeredBytes(query)
        const id = await makeQueryId(context.keys, { environmentId, number: query.number, shards, ordinal })
        const members = discoveryMembers(id, query)
        Object.assign(work.queries, members.queries)
        Object.assign(work.discovery, members.discovery)
      }
    } catch (error) {
      console.warn(JSON.stringify({ event: 'shard-without-offers', shards, error: String(error) }))
      failure = error
    }
  }
  if (Object.keys(work.queries).length > 0) return work
  // What another shard handed out is noted there as offered, so it must go out; alone, a failure is one.
  if (failure !== null) throw failure
  return null
}

/** The reply's text. `accelerate` is an integer, the form that all versions but three take (spec 2.4). */
function reply(work: Work | null, leaseS: number): AgentOutcome {
  const accelerate = leaseS === 0 ? {} : { accelerate: leaseS }
  if (work === null) return answer(JSON.stringify({ queries: {}, ...accelerate }))
  // One more entry than there are queries, for agents from 2.4 to 5.7 (spec 5.2).
  const discovery = { ...work.discovery, _always: ALWAYS }
  return answer(JSON.stringify({ queries: work.queries, discovery, ...accelerate }))
}
