/**
 * POST …/log: makes the body durable as it came and says `{}` (spec 2.3, design 4 Logs). Nothing is split or parsed
 * here: a key in the header authenticates before the body is read; only for older agents the body is looked through,
 * for its `node_key`.
 */

import { ackPortOf } from '../logs/ack-port.ts'
import { enqueuePointer, metadataOf, streamedKey } from '../logs/inbox.ts'
import type { LogOrigin } from '../logs/message.ts'
import { NodeKeyFinder, type FoundKey } from '../logs/node-key-finder.ts'
import { putQuarantine } from '../logs/quarantine.ts'
import { streamIn, type IncomingStream } from '../logs/stream-in.ts'
import type { Bytes } from '../lib/bytes.ts'
import { fail, type Result } from '../lib/result.ts'
import {
  admit,
  authenticate,
  headerIdentity,
  headerKeyOf,
  recogniseKey,
  type AuthenticatedNode,
} from './authenticate.ts'
import { announcedBytes, readWhole } from './body.ts'
import { MAX_BUFFERED_BODY_BYTES, MAX_KEY_SEARCH_BYTES, MAX_LOG_BODY_BYTES } from './constants.ts'
import type { AgentContext } from './context.ts'
import { takeRoom } from './in-flight.ts'
import { readNodeKey, type NodeIdentity } from './node-key.ts'
import { DONE, retry, type AgentOutcome } from './outcome.ts'

/** What one streamed body holds of the isolate's memory at a time: a few chunks on each side. */
const STREAM_ROOM_BYTES = 256 * 1_024

export async function log(context: AgentContext): Promise<AgentOutcome> {
  const length = announcedBytes(context.request)
  const large = largeBody(context.request, length)
  const room = takeRoom(large === null ? (length ?? MAX_BUFFERED_BODY_BYTES) : STREAM_ROOM_BYTES)
  if (room === null) return retry({ kind: 'overloaded', what: 'log' })
  try {
    const headerKey = headerKeyOf(context.request)
    const known = headerKey === null ? null : recogniseKey(context, headerKey)
    if (known?.isPending === false) return await acceptByHeader(context, known.identity, large)
    const identity = await headerIdentity(context)
    if (identity === null) return await acceptByBodyKey(context, large)
    const node = unlessPending(context, await admit(context, identity))
    if (!node.ok) {
      await readAway(context)
      return node.reason
    }
    return await acceptByHeader(context, identity, large)
  } finally {
    room()
  }
}

/**
 * Nobody vouches yet for what a node says that waits for approval, so nothing of it gets into the archive. It keeps its
 * lines, which are few without a schedule, and brings them once it is approved.
 */
function unlessPending(
  context: AgentContext,
  node: Result<AuthenticatedNode, AgentOutcome>,
): Result<AuthenticatedNode, AgentOutcome> {
  if (!node.ok || !node.value.isPending) return node
  context.presence.note(context, node.value.identity, 'log')
  return fail(retry({ kind: 'awaits-approval' }))
}

/** The body as a stream, where it announces that it is larger than what is held whole. */
function largeBody(request: Request, length: number | null): IncomingStream | null {
  if (length === null || length <= MAX_BUFFERED_BODY_BYTES || request.body === null) return null
  return { stream: request.body as ReadableStream<Uint8Array>, length }
}

/**
 * Reads on to the end without keeping anything: a connection that is closed while osqueryd is still sending is an error
 * to it, and it would never hear that it has to enroll anew.
 */
async function readAway({ request, deadline }: AgentContext): Promise<void> {
  if (request.body === null) return
  await deadline.run(request.body.pipeTo(new WritableStream())).catch(() => undefined)
}

async function acceptByHeader(
  context: AgentContext,
  identity: NodeIdentity,
  large: IncomingStream | null,
): Promise<AgentOutcome> {
  const origin = originOf(context, identity)
  if (large !== null) return acceptStream(context, identity, large)
  const body = await readWhole(context.request, MAX_BUFFERED_BODY_BYTES, context.deadline)
  if (!body.ok) return retry(body.reason)
  return acceptHeld(context, identity, origin, body.value)
}

async function acceptByBodyKey(context: AgentContext, large: IncomingStream | null): Promise<AgentOutcome> {
  if (large !== null) return acceptUnverifiedStream(context, large)
  const body = await readWhole(context.request, MAX_BUFFERED_BODY_BYTES, context.deadline)
  if (!body.ok) return retry(body.reason)
  const finder = new NodeKeyFinder(MAX_KEY_SEARCH_BYTES)
  await finder.push(body.value)
  const node = await identify(context, await finder.end())
  if (!node.ok) return node.reason
  const { identity } = node.value
  return acceptHeld(context, identity, originOf(context, identity), body.value)
}

async function acceptHeld(
  context: AgentContext,
  identity: NodeIdentity,
  origin: LogOrigin,
  body: Bytes,
): Promise<AgentOutcome> {
  await ackPortOf(context.env).accept({ ...context, userAgent: userAgentOf(context) }, origin, body)
  context.presence.note(context, identity, 'log')
  return DONE
}

/** A large body of a known node: straight to the inbox, or to the quarantine where it is over the limit. */
async function acceptStream(
  context: AgentContext,
  identity: NodeIdentity,
  large: IncomingStream,
): Promise<AgentOutcome> {
  const { env, deadline } = context
  const origin = originOf(context, identity)
  if (large.length > MAX_LOG_BODY_BYTES) {
    await deadline.run(putQuarantine(env, { ...origin, ...large, reason: 'too-large', route: 'log' }))
  } else {
    const key = streamedKey(origin)
    await deadline.run(streamIn(env, key, large, metadataOf(origin, userAgentOf(context))))
    context.waitUntil(enqueuePointer(env, key, origin))
  }
  context.presence.note(context, identity, 'log')
  return DONE
}

/**
 * A large body whose node key is somewhere inside: it is durable before we know whose it is, and goes again if it is
 * nobody's. Should this Worker die between, the consumer reads the key out of the object itself. One over the limit
 * goes the same way: the consumer puts it aside.
 */
async function acceptUnverifiedStream(context: AgentContext, large: IncomingStream): Promise<AgentOutcome> {
  const { env, deadline } = context
  if (large.length > MAX_KEY_SEARCH_BYTES) return retry({ kind: 'too-large', maxBytes: MAX_KEY_SEARCH_BYTES })
  const key = streamedKey(null)
  const finder = new NodeKeyFinder(MAX_KEY_SEARCH_BYTES)
  const receivedAtMs = String(context.receivedAtMs)
  await deadline.run(streamIn(env, key, large, { receivedAtMs }, (chunk) => finder.push(chunk)))
  const node = await identify(context, await deadline.run(finder.end()))
  if (!node.ok) {
    context.waitUntil(env.ARCHIVE.delete(key))
    return node.reason
  }
  const { identity } = node.value
  context.waitUntil(enqueuePointer(env, key, originOf(context, identity)))
  context.presence.note(context, identity, 'log')
  return DONE
}

/** Who a body says it is from. In an unreadable one only a key that verifies counts: otherwise we do not know (R3). */
async function identify(
  context: AgentContext,
  found: FoundKey,
): Promise<Result<AuthenticatedNode, AgentOutcome>> {
  if (found.kind === 'found') return unlessPending(context, await authenticate(context, found.key))
  if (found.kind === 'absent') return authenticate(context, '')
  const { salvaged } = found
  if (salvaged !== null && (await readNodeKey(context.keys, salvaged)).ok)
    return unlessPending(context, await authenticate(context, salvaged))
  return fail(retry({ kind: 'bad-request', detail: 'the body is unreadable and names no node' }))
}

function originOf({ receivedAtMs }: AgentContext, identity: NodeIdentity): LogOrigin {
  const { environmentId, nodeId, ordinal, platformFamily } = identity
  return { environmentId, nodeId, ordinal, platform: platformFamily, receivedAtMs }
}

function userAgentOf({ request }: AgentContext): string | null {
  return request.headers.get('user-agent')
}
