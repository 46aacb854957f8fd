/** What lies in an environment's inbox: acknowledged, and not in the archive yet. For operators. */

import { INBOX_PREFIX, originOf } from './inbox.ts'

export interface InboxItem {
  id: string
  /** Null where only the body itself can tell. */
  nodeId: string | null
  bytes: number
  receivedAtMs: number
  /** Older than the pipeline needs when all is well. */
  late: boolean
}

/** A body is in the archive within seconds; the sweeper brings back each minute what was forgotten. */
export const LATE_AFTER_MS = 15 * 60_000
const MAX_LISTED = 1_000
/** Content names, uploads' random ones, and replays of quarantined bodies. */
const ID = /^[0-9a-z-]{1,80}$/

/** One page, by name; `cursor` is the id of the last item seen, or null. */
export async function listInbox(
  env: Env,
  environmentId: string,
  cursor: string | null,
  limit: number,
  nowMs: number,
): Promise<{ items: InboxItem[]; nextCursor: string | null }> {
  const prefix = prefixOf(environmentId)
  const listed = await env.ARCHIVE.list({
    prefix,
    limit: Math.min(limit, MAX_LISTED),
    include: ['customMetadata'],
    ...(cursor === null ? {} : { startAfter: prefix + cursor }),
  })
  const items = listed.objects.map((object) => itemOf(prefix, object, nowMs))
  return { items, nextCursor: listed.truncated ? (items.at(-1)?.id ?? null) : null }
}

/** One item with its content and its key; null where there is none. */
export async function findInInbox(
  env: Env,
  environmentId: string,
  id: string,
  nowMs: number,
): Promise<{ item: InboxItem; key: string; content: ReadableStream } | null> {
  if (!ID.test(id)) return null
  const prefix = prefixOf(environmentId)
  const object = await env.ARCHIVE.get(prefix + id)
  if (object === null) return null
  return { item: itemOf(prefix, object, nowMs), key: object.key, content: object.body }
}

function itemOf(prefix: string, { key, size, uploaded, customMetadata }: R2Object, nowMs: number): InboxItem {
  const origin = originOf(customMetadata)
  return {
    id: key.slice(prefix.length),
    nodeId: origin?.nodeId ?? null,
    bytes: size,
    receivedAtMs: origin?.receivedAtMs ?? uploaded.getTime(),
    // By the upload: a body replayed from quarantine was received long ago.
    late: nowMs - uploaded.getTime() > LATE_AFTER_MS,
  }
}

function prefixOf(environmentId: string): string {
  return `${INBOX_PREFIX}${environmentId}/`
}
