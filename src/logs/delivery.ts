/** From a queue message to a body whose node is known: what the consumer works on. */

import { admit, isOfRetiredKey } from '../agent/authenticate.ts'
import { MAX_BUFFERED_BODY_BYTES, MAX_LOG_BODY_BYTES } from '../agent/constants.ts'
import { readNodeKey } from '../agent/node-key.ts'
import { loadSigningKeys } from '../agent/signing-keys.ts'
import type { Bytes } from '../lib/bytes.ts'
import { Deadline } from '../lib/deadline.ts'
import { createSnapshotSource } from '../snapshot/source.ts'
import { originOf } from './inbox.ts'
import { bodyName, type BodyMessage, type LogOrigin } from './message.ts'
import { NodeKeyFinder } from './node-key-finder.ts'
import { heldBody, objectBody, type StoredBody } from './stored-body.ts'

/** How long one look into R2 or at a snapshot may take. */
const CALL_WITHIN_MS = 30_000

export interface Delivery {
  /** Names the body: a body that comes twice has the same. */
  sourceId: string
  origin: LogOrigin
  body: StoredBody
  /** The object to delete once its lines are in the archive; null where there is none. */
  inboxKey: string | null
}

/**
 * Gets the body that a message is about. Null where there is nothing left to do: the object is gone, so its lines are
 * in the archive - or it turned out to be nobody's and was deleted. Throws where that cannot be told now.
 */
export async function openDelivery(env: Env, message: BodyMessage): Promise<Delivery | null> {
  if (message.kind === 'body') {
    const { origin, body } = message
    return { sourceId: await bodyName(origin.nodeId, body), origin, body: heldBody(body), inboxKey: null }
  }
  const { key } = message
  const object = await new Deadline(CALL_WITHIN_MS).run(env.ARCHIVE.get(key))
  if (object === null) return null
  const body = await bodyOf(env, object)
  const origin =
    message.origin ?? originOf(object.customMetadata) ?? (await originOfUpload(env, object, body))
  if (origin === null) {
    await env.ARCHIVE.delete(key)
    return null
  }
  return { sourceId: key, origin, body, inboxKey: key }
}

async function bodyOf(env: Env, object: R2ObjectBody): Promise<StoredBody> {
  if (object.size <= MAX_BUFFERED_BODY_BYTES) {
    return heldBody(new Uint8Array(await new Deadline(CALL_WITHIN_MS).run(object.arrayBuffer())))
  }
  await object.body.cancel()
  return objectBody(env, object.key, object.size)
}

/**
 * Who an upload is from that was left without an answer because its Worker died: what the edge would have found. Null
 * where its node key is not valid; throws where this Worker cannot tell.
 */
async function originOfUpload(env: Env, object: R2Object, body: StoredBody): Promise<LogOrigin | null> {
  const finder = new NodeKeyFinder(MAX_LOG_BODY_BYTES)
  const reader = (await body.raw()).getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    await finder.push(value as Bytes)
  }
  const found = await finder.end()
  const key = found.kind === 'found' ? found.key : found.kind === 'unreadable' ? found.salvaged : null
  const keys = await loadSigningKeys(env.SIGNING_KEYS)
  const context = {
    env,
    keys,
    deadline: new Deadline(CALL_WITHIN_MS),
    snapshots: createSnapshotSource(),
    environmentReference: null,
    // Nothing is refreshed behind a reply here: a source without memory loads at once.
    waitUntil: () => undefined,
  }
  const identity = await readNodeKey(keys, key ?? '')
  if (!identity.ok) {
    if (identity.reason === 'unknown-format' && !(await isOfRetiredKey(context, key ?? '')))
      throw new Error('a node key of a format that is not known yet')
    return null
  }
  const node = await admit(context, identity.value, 'taken')
  // What a node says that waits for approval is not kept; it brings it again (agent/log.ts).
  if (!node.ok || node.value.isPending) return null
  const { environmentId, nodeId, ordinal, platformFamily } = identity.value
  const receivedAtMs = Number(object.customMetadata?.['receivedAtMs'] ?? object.uploaded.getTime())
  return { environmentId, nodeId, ordinal, platform: platformFamily, receivedAtMs }
}
