/**
 * POST …/distributed/write: a node's answers (spec 2.5). Never judged by the snapshot: the id says the shard and the
 * shard decides. A refused write comes back for ever and wedges the agent, so what cannot be used is accepted (R5).
 */

import type { Bytes } from '../lib/bytes.ts'
import { putQuarantine } from '../logs/quarantine.ts'
import type { NewAnswer } from '../queries/answer.ts'
import { answerShardStub } from '../queries/shard-name.ts'
import { shardOf } from '../snapshot/remaining.ts'
import { authenticate, headerIdentity, isOfRetiredKey } from './authenticate.ts'
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
import { answersPutAside } from './write-aside.ts'
import { WriteBodyReader, type WrittenAnswer } from './write-body.ts'
import { WriteFeed, type WriteVerdict } from './write-feed.ts'

export async function distributedWrite(context: AgentContext): Promise<AgentOutcome> {
  const announced = announcedBytes(context.request)
  if (announced !== null && announced > MAX_KEY_SEARCH_BYTES && (await headerIdentity(context)) === null)
    return retry({ kind: 'too-large', maxBytes: MAX_KEY_SEARCH_BYTES })
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
  const reader = new WriteBodyReader()
  const feed = new WriteFeed(reader)
  await feed.write(whole.value)
  const verdict = await feed.end()
  return verdict === 'whole'
    ? storeAnswers(context, reader.nodeKey, await reader.answers())
    : putAside(context, reader, whole.value, verdict)
}

/**
 * A body that is no JSON, or too large inflated, never will be another: with a valid key it is put aside, so that the
 * agent can go on. Its answers are kept as what they are: too large, or broken.
 */
async function putAside(
  context: AgentContext,
  reader: WriteBodyReader,
  bytes: Bytes,
  verdict: Exclude<WriteVerdict, 'whole'>,
): Promise<AgentOutcome> {
  const key = reader.nodeKey === '' ? salvageNodeKey(bytes) : reader.nodeKey
  const node = await authenticate(context, key, 'taken')
  if (!node.ok) return key === '' ? retry({ kind: 'bad-request', detail: 'not JSON' }) : node.reason
  if (node.value.isPending) return DONE
  const { environmentId, nodeId } = node.value.identity
  const { env, receivedAtMs } = context
  const reason = verdict === 'malformed' ? 'malformed' : 'too-large'
  const item = { environmentId, nodeId, reason, route: 'distributed/write', receivedAtMs, bytes }
  await context.deadline.run(putQuarantine(env, item))
  return storeAnswers(context, key, answersPutAside(await reader.answers(), verdict))
}

/** Checks who writes, keeps those answers that are theirs, and says `{}` once they are durable. */
export async function storeAnswers(
  context: AgentContext,
  bodyKey: string,
  written: readonly WrittenAnswer[],
): Promise<AgentOutcome> {
  const node = await authenticate(context, bodyKey, 'taken')
  if (!node.ok) return node.reason
  // Nothing was asked of it.
  if (node.value.isPending) return DONE
  const { identity } = node.value
  const byShards = new Map<number, NewAnswer[]>()
  let isNewer = false
  for (const { id: answerId, ...rest } of written) {
    const { id, notApplicable } = readAnswerId(answerId)
    const wire = await readQueryId(context.keys, id)
    if (!wire.ok && wire.reason === 'unknown-format' && !(await isOfRetiredKey(context, id))) isNewer = true
    else if (
      !wire.ok ||
      wire.value.environmentId !== identity.environmentId ||
      wire.value.ordinal !== identity.ordinal
    )
      context.presence.count(identity, 'answer-foreign')
    else {
      const { number, shards } = wire.value
      byShards.set(shards, [...(byShards.get(shards) ?? []), { number, ...rest, notApplicable }])
    }
  }
  for (const [shards, answers] of byShards) await writeToShard(context, identity, shards, answers)
  context.presence.note(context, identity, 'write')
  // A newer Worker may have made that id (gradual deploy): its answer must come again when this one knows, and the others
  // with it, which are kept by then.
  return isNewer ? retry({ kind: 'unknown-key-format' }) : DONE
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
