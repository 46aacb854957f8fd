/**
 * POST …/distributed/write: a node's answers (spec 2.5). Never judged by the snapshot: the id says the shard and the
 * shard decides. A refused write comes back for ever and wedges the agent, so what cannot be used is accepted (R5).
 */

import type { Bytes } from '../lib/bytes.ts'
import { gunzip, looksGzipped } from '../lib/compression.ts'
import { putQuarantine } from '../logs/quarantine.ts'
import type { NewAnswer } from '../queries/answer.ts'
import { answerShardStub } from '../queries/shard-name.ts'
import { shardOf } from '../snapshot/remaining.ts'
import { admit, authenticate, headerIdentity } from './authenticate.ts'
import { announcedBytes, readWhole } from './body.ts'
import { MAX_BUFFERED_BODY_BYTES, MAX_KEY_SEARCH_BYTES, MAX_WRITE_BODY_BYTES } from './constants.ts'
import type { AgentContext } from './context.ts'
import { takeRoom } from './in-flight.ts'
import type { NodeIdentity } from './node-key.ts'
import { DONE, retry, type AgentOutcome } from './outcome.ts'
import { readAnswerId } from './discovery.ts'
import { readQueryId } from './query-id.ts'
import { salvageNodeKey } from './salvage.ts'
import { receiveLargeWrite } from './large-write.ts'
import { WriteBodyReader } from './write-body.ts'

export async function distributedWrite(context: AgentContext): Promise<AgentOutcome> {
  const announced = announcedBytes(context.request)
  if (announced !== null && announced > MAX_WRITE_BODY_BYTES) {
    const identity = await headerIdentity(context)
    if (identity !== null) return quarantineUnread(context, identity, announced)
    if (announced > MAX_KEY_SEARCH_BYTES) return retry({ kind: 'too-large', maxBytes: MAX_KEY_SEARCH_BYTES })
  }
  const large = announced !== null && announced > MAX_BUFFERED_BODY_BYTES
  const giveRoomBack = takeRoom(Math.min(announced ?? MAX_BUFFERED_BODY_BYTES, MAX_WRITE_BODY_BYTES / 4))
  if (giveRoomBack === null) return retry({ kind: 'overloaded', what: 'memory' })
  try {
    return await (large ? receiveLargeWrite(context, announced, storeAnswers) : receiveWrite(context))
  } finally {
    giveRoomBack()
  }
}

async function receiveWrite(context: AgentContext): Promise<AgentOutcome> {
  const whole = await readWhole(context.request, MAX_BUFFERED_BODY_BYTES, context.deadline)
  if (!whole.ok) return retry(whole.reason)
  const plain = looksGzipped(whole.value) ? await gunzip(whole.value, MAX_WRITE_BODY_BYTES / 4) : whole
  const reader = new WriteBodyReader()
  if (plain.ok) reader.push(plain.value)
  if (plain.ok && reader.end() === null) return storeAnswers(context, reader)
  const isTooLarge = !plain.ok && plain.reason.kind === 'too-large'
  return quarantineWrite(context, whole.value, isTooLarge ? 'too-large' : 'malformed')
}

/** A body that is no JSON never will be: with a valid key it is put aside, so that the agent can go on. */
async function quarantineWrite(
  context: AgentContext,
  bytes: Bytes,
  reason: 'malformed' | 'too-large',
): Promise<AgentOutcome> {
  const node = await authenticate(context, salvageNodeKey(bytes))
  if (!node.ok)
    return salvageNodeKey(bytes) === '' ? retry({ kind: 'bad-request', detail: 'not JSON' }) : node.reason
  const { environmentId, nodeId } = node.value.identity
  const { env, receivedAtMs } = context
  const item = { environmentId, nodeId, reason, route: 'distributed/write', receivedAtMs, bytes }
  await context.deadline.run(putQuarantine(env, item))
  return DONE
}

/** A body over the limit whose sender the header names is streamed aside unread. */
async function quarantineUnread(
  context: AgentContext,
  identity: NodeIdentity,
  length: number,
): Promise<AgentOutcome> {
  const { env, request, receivedAtMs } = context
  const node = await admit(context, identity)
  if (!node.ok) return node.reason
  if (request.body === null) return retry({ kind: 'bad-request', detail: 'there is no body' })
  const { environmentId, nodeId } = identity
  const item = { environmentId, nodeId, reason: 'too-large', route: 'distributed/write', receivedAtMs }
  await context.deadline.run(putQuarantine(env, { ...item, stream: request.body, length }))
  return DONE
}

/** Checks who writes, keeps those answers that are theirs, and says `{}` once they are durable. */
export async function storeAnswers(context: AgentContext, reader: WriteBodyReader): Promise<AgentOutcome> {
  const node = await authenticate(context, reader.nodeKey)
  if (!node.ok) return node.reason
  const { identity } = node.value
  const byShards = new Map<number, NewAnswer[]>()
  for (const { id: answerId, ...rest } of await reader.answers()) {
    const { id, notApplicable } = readAnswerId(answerId)
    const wire = await readQueryId(context.keys, id)
    // A newer Worker may have made it (gradual deploy): the answer must come again when this one knows.
    if (!wire.ok && wire.reason === 'unknown-format') return retry({ kind: 'unknown-key-format' })
    if (
      !wire.ok ||
      wire.value.environmentId !== identity.environmentId ||
      wire.value.ordinal !== identity.ordinal
    ) {
      context.presence.count(identity, 'answer-foreign')
      continue
    }
    const { number, shards } = wire.value
    byShards.set(shards, [...(byShards.get(shards) ?? []), { number, ...rest, notApplicable }])
  }
  for (const [shards, answers] of byShards) await writeToShard(context, identity, shards, answers)
  context.presence.note(context, identity, 'write')
  return DONE
}

async function writeToShard(
  context: AgentContext,
  identity: NodeIdentity,
  shards: number,
  answers: readonly NewAnswer[],
): Promise<void> {
  const { environmentId, ordinal, nodeId } = identity
  const shard = answerShardStub(context.env, environmentId, shards, shardOf(ordinal, shards))
  const tally = await context.deadline.run(shard.write({ ordinal, nodeId }, answers))
  context.presence.count(identity, 'answer-unknown', tally.unknown)
  context.presence.count(identity, 'answer-duplicate', tally.duplicate)
}
