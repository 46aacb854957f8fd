/**
 * Where poison is put aside: what an agent sent and we cannot store as it should be is accepted, kept with the reason
 * and listed for operators, because a refused batch comes back for ever (design R5).
 *
 * Objects: `quarantine/environment=<uuid>/<inverted milliseconds>-<hash>`, so that R2's ascending listing is newest
 * first and needs no index.
 */

import { concatBytes, hexOf, sha256, utf8, type Bytes } from '../lib/bytes.ts'

/** The reasons for a log body; other routes have their own. */
export type QuarantineReason =
  /** The body is over the limit of its route, as received or inflated. */
  | 'too-large'
  /** Not JSON, or not a whole gzip member. */
  | 'malformed'
  /** JSON, but not of a shape that the route knows. */
  | 'unexpected-shape'
  | 'unknown-log-type'
  | 'not-an-object'
  | 'line-too-large'
  | 'too-many-lines'

interface QuarantineFacts {
  environmentId: string
  nodeId: string
  reason: string
  /** Which endpoint it came to, e.g. `log` or `distributed/write`. */
  route: string
  receivedAtMs: number
}

/** The content: held whole, or a stream of exactly `length` bytes. */
export type QuarantineContent = { bytes: Bytes } | { stream: ReadableStream<Uint8Array>; length: number }

export interface QuarantineItem {
  id: string
  reason: string
  /** Empty in items of before it was kept. */
  route: string
  nodeId: string
  bytes: number
  receivedAt: string
}

export const QUARANTINE_PREFIX = 'quarantine/'
/** Times are inverted against this, the last millisecond of 13 digits (year 2286). */
export const LAST_MS = 9_999_999_999_999
/** R2 lists at most this many objects at once (R2 Workers API, list). */
const MAX_LISTED = 1_000
/** Of a purge: 10,000 items in some seconds. What is beyond is for the next one. */
const MAX_PURGE_CALLS = 10
const ID = /^\d{13}-[0-9a-f]{32}$/

/**
 * Puts content aside; resolves when it is durable, throws when R2 fails. The same put twice is one object. Returns its
 * id.
 */
export async function putQuarantine(env: Env, content: QuarantineFacts & QuarantineContent): Promise<string> {
  const { environmentId, nodeId, reason, route, receivedAtMs } = content
  const length = 'bytes' in content ? content.bytes.length : content.length
  const id = `${invertedTime(receivedAtMs)}-${await nameOf(content)}`
  const receivedAt = new Date(receivedAtMs).toISOString()
  const customMetadata = { reason, nodeId, route, receivedAt, bytes: String(length) }
  const key = quarantinePrefix(environmentId) + id
  if ('bytes' in content) {
    await env.ARCHIVE.put(key, content.bytes, { customMetadata })
    return id
  }
  // R2 wants to know the length of a stream beforehand.
  const { readable, writable } = new FixedLengthStream(length)
  await Promise.all([
    env.ARCHIVE.put(key, readable, { customMetadata }),
    content.stream.pipeTo(writable as WritableStream<Uint8Array>),
  ])
  return id
}

/** One page of what was put aside, newest first. `cursor` is the id of the last item seen, or null. */
export async function listQuarantine(
  env: Env,
  environmentId: string,
  cursor: string | null,
  limit: number,
): Promise<{ items: QuarantineItem[]; nextCursor: string | null }> {
  const prefix = quarantinePrefix(environmentId)
  const listed = await env.ARCHIVE.list({
    prefix,
    limit: Math.min(limit, MAX_LISTED),
    include: ['customMetadata'],
    ...(cursor === null ? {} : { startAfter: prefix + cursor }),
  })
  const items = listed.objects.map((object) => itemOf(environmentId, object))
  return { items, nextCursor: listed.truncated ? (items.at(-1)?.id ?? null) : null }
}

/** One item with its content; null where there is none. */
export async function findQuarantined(
  env: Env,
  environmentId: string,
  id: string,
): Promise<{ item: QuarantineItem; content: ReadableStream } | null> {
  if (!ID.test(id)) return null
  const object = await env.ARCHIVE.get(quarantinePrefix(environmentId) + id)
  return object === null ? null : { item: itemOf(environmentId, object), content: object.body }
}

/** Deletes one item. Whether there was one, only a look before can tell. */
export async function purgeQuarantined(env: Env, environmentId: string, id: string): Promise<void> {
  await env.ARCHIVE.delete(quarantinePrefix(environmentId) + id)
}

/**
 * Deletes what was received before a time, a bounded number. Ids sort by time, newest first, so that these are the last
 * of the list.
 */
export async function purgeQuarantineBefore(
  env: Env,
  environmentId: string,
  beforeMs: number,
): Promise<{ purged: number; complete: boolean }> {
  const prefix = quarantinePrefix(environmentId)
  let purged = 0
  for (let i = 0; i < MAX_PURGE_CALLS; i += 1) {
    const listed = await env.ARCHIVE.list({
      prefix,
      limit: MAX_LISTED,
      // Everything of this very millisecond comes after `<time>-` and before `<time>.`.
      startAfter: `${prefix}${invertedTime(beforeMs)}.`,
    })
    const keys = listed.objects.map(({ key }) => key)
    if (keys.length > 0) await env.ARCHIVE.delete(keys)
    purged += keys.length
    if (!listed.truncated) return { purged, complete: true }
  }
  return { purged, complete: false }
}

function itemOf(environmentId: string, { key, size, customMetadata = {} }: R2Object): QuarantineItem {
  const { reason = 'unknown', route = '', nodeId = '', receivedAt = '' } = customMetadata
  return {
    id: key.slice(quarantinePrefix(environmentId).length),
    reason,
    route,
    nodeId,
    bytes: size,
    receivedAt,
  }
}

function invertedTime(timeMs: number): string {
  return String(LAST_MS - timeMs).padStart(13, '0')
}

/** Where an environment's are. */
export function quarantinePrefix(environmentId: string): string {
  return `${QUARANTINE_PREFIX}environment=${environmentId}/`
}

async function nameOf(content: QuarantineFacts & QuarantineContent): Promise<string> {
  const facts = utf8(`${content.nodeId}\n${content.route}\n${content.reason}\n`)
  // A stream passes by only once, so its length stands for it: with its millisecond that is enough.
  const body = 'bytes' in content ? content.bytes : utf8(String(content.length))
  return hexOf((await sha256(concatBytes([facts, body]))).subarray(0, 16))
}
