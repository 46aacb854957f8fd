/**
 * The inbox: bodies that were acknowledged (or are just being uploaded) and are not in the archive yet, one R2 object
 * each. What lies here is never forgotten: the sweeper enqueues it again until the consumer has deleted it.
 */

import type { Bytes } from '../lib/bytes.ts'
import { bodyName, encodeMessage, type LogOrigin } from './message.ts'

export const INBOX_PREFIX = 'inbox/'
/** Uploads whose node key was still to come when they began: only the body itself says whose they are. */
const UNVERIFIED_PREFIX = `${INBOX_PREFIX}unverified/`
const METADATA_FORMAT = '1'
/** R2 keeps 8,192 bytes of metadata, the local simulator 2,048 (R2 limits). */
const MAX_USER_AGENT_LENGTH = 200

/** Where a held body lies: named by its content, so that a resend overwrites it. */
export async function inboxKey(origin: LogOrigin, body: Bytes): Promise<string> {
  return `${INBOX_PREFIX}${origin.environmentId}/${await bodyName(origin.nodeId, body)}`
}

/** Where a streamed body lies; its content is not known yet, so the name is random. */
export function streamedKey(origin: LogOrigin | null): string {
  const folder = origin === null ? UNVERIFIED_PREFIX : `${INBOX_PREFIX}${origin.environmentId}/`
  return `${folder}${crypto.randomUUID()}`
}

/** Where a body lies that comes back from quarantine: doing it twice is one. */
export function replayKey(environmentId: string, quarantineId: string): string {
  return `${INBOX_PREFIX}${environmentId}/replay-${quarantineId}`
}

/** What the object says about its body. Whether it is gzip, its first two bytes tell. */
export function metadataOf(origin: LogOrigin, userAgent: string | null): Record<string, string> {
  return {
    format: METADATA_FORMAT,
    environmentId: origin.environmentId,
    nodeId: origin.nodeId,
    ordinal: String(origin.ordinal),
    platform: origin.platform,
    receivedAtMs: String(origin.receivedAtMs),
    userAgent: (userAgent ?? '').slice(0, MAX_USER_AGENT_LENGTH),
  }
}

/** Reads back who sent an object; null where it was uploaded before that was known. */
export function originOf(metadata: Record<string, string> | undefined): LogOrigin | null {
  const { environmentId, nodeId, ordinal, platform, receivedAtMs } = metadata ?? {}
  if (environmentId === undefined || nodeId === undefined || receivedAtMs === undefined) return null
  return {
    environmentId,
    nodeId,
    ordinal: Number(ordinal ?? 0),
    platform: platform ?? '',
    receivedAtMs: Number(receivedAtMs),
  }
}

/** Tells the consumer about an object. Losing this is harmless: the sweeper does it again. */
export async function enqueuePointer(env: Env, key: string, origin: LogOrigin | null): Promise<void> {
  try {
    await env.LOGS.send(encodeMessage({ kind: 'pointer', key, origin }), { contentType: 'bytes' })
  } catch (error) {
    console.warn(JSON.stringify({ event: 'log-pointer-lost', key, error: String(error) }))
  }
}
