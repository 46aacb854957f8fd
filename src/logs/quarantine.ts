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
  nodeId: string
  bytes: number
  receivedAt: string
}

/** Times are inverted against this, the last millisecond of 13 digits (year 2286). */
const LAST_MS = 9_999_999_999_999
/** R2 lists at most this many objects at once (R2 Workers API, list). */
const MAX_LISTED = 1_000

/**
 * Puts content aside; resolves when it is durable, throws when R2 fails. The same put twice is one object. Returns its
 * id.
 */
export async function putQuarantine(env: Env, content: QuarantineFacts & QuarantineContent): Promise<string> {
  const { environmentId, nodeId, reason, route, receivedAtMs } = content
  const length = 'bytes' in content ? content.bytes.length : content.length
  const id = `${String(LAST_MS - receivedAtMs).padStart(13, '0')}-${await nameOf(content)}`
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
  const items = listed.objects.map(({ key, size, customMetadata }) => ({
    id: key.slice(prefix.length),
    reason: customMetadata?.['reason'] ?? 'unknown',
    nodeId: customMetadata?.['nodeId'] ?? '',
    bytes: size,
    receivedAt: customMetadata?.['receivedAt'] ?? '',
  }))
  return { items, nextCursor: listed.truncated ? (items.at(-1)?.id ?? null) : null }
}

/** Where an environment's are. */
export function quarantinePrefix(environmentId: string): string {
  return `quarantine/environment=${environmentId}/`
}

async function nameOf(content: QuarantineFacts & QuarantineContent): Promise<string> {
  const facts = utf8(`${content.nodeId}\n${content.route}\n${content.reason}\n`)
  // A stream passes by only once, so its length stands for it: with its millisecond that is enough.
  const body = 'bytes' in content ? content.bytes : utf8(String(content.length))
  return hexOf((await sha256(concatBytes([facts, body]))).subarray(0, 16))
}
