/** Brings back what was acknowledged but whose message got lost, so that nothing waits in the inbox for ever. */

import { rfc3339 } from '../lib/time.ts'
import { INBOX_PREFIX, originOf } from './inbox.ts'
import { LATE_AFTER_MS } from './inbox-list.ts'
import { encodeMessage } from './message.ts'

/** Younger objects are on their way: their message was sent a moment ago, or their upload is still being judged. */
const LEFT_ALONE_FOR_MS = 20_000
/** Listings of one sweep; what is beyond waits a minute. R2 lists 1,000 objects at once, fewer with metadata. */
const MAX_LISTINGS = 20
/** sendBatch takes 100 messages and 256 KB (Cloudflare Queues limits); ours are about 400 bytes each. */
const MESSAGES_AT_ONCE = 100

/**
 * Enqueues every object that by then has been in the inbox for a while, and raises an alarm for those that have been for
 * long. One list call when the inbox is empty.
 */
export async function sweepInbox(env: Env, nowMs: number): Promise<void> {
  const uploadedBefore = nowMs - LEFT_ALONE_FOR_MS
  const late = { objects: 0, oldestMs: nowMs }
  let cursor: string | undefined
  for (let i = 0; i < MAX_LISTINGS; i += 1) {
    const listed = await env.ARCHIVE.list({
      prefix: INBOX_PREFIX,
      include: ['customMetadata'],
      ...(cursor === undefined ? {} : { cursor }),
    })
    const waiting = listed.objects.filter(({ uploaded }) => uploaded.getTime() < uploadedBefore)
    for (let start = 0; start < waiting.length; start += MESSAGES_AT_ONCE) {
      await env.LOGS.sendBatch(waiting.slice(start, start + MESSAGES_AT_ONCE).map(pointerTo))
    }
    for (const { uploaded } of waiting) {
      if (nowMs - uploaded.getTime() <= LATE_AFTER_MS) continue
      late.objects += 1
      late.oldestMs = Math.min(late.oldestMs, uploaded.getTime())
    }
    if (!listed.truncated) break
    ;({ cursor } = listed)
  }
  // For alerts on Workers Logs: what agents were told is safe does not get into the archive.
  if (late.objects > 0) {
    const oldest = rfc3339(late.oldestMs)
    console.error(JSON.stringify({ event: 'inbox-late', objects: late.objects, oldest }))
  }
}

function pointerTo({ key, customMetadata }: R2Object): MessageSendRequest {
  const origin = originOf(customMetadata)
  return { body: encodeMessage({ kind: 'pointer', key, origin }), contentType: 'bytes' }
}
