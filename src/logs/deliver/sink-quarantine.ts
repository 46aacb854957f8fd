/**
 * Where a sink's lines go that its destination refuses for good: kept with the reason, to be looked at, sent again or
 * thrown away. One object for each batch: `sink-quarantine/environment=<uuid>/sink=<uuid>/<inverted milliseconds>-
 * <batch id>.ndjson.gz`, newest first in R2's order. Its lines are the archive's with `reason` in front.
 */

import { concatBytes, utf8, type Bytes } from '../../lib/bytes.ts'
import { gzip } from '../../lib/compression.ts'
import { Deadline } from '../../lib/deadline.ts'
import { envelopeOfLine, linesOf, type ArchivedLine, type LineHeader } from '../line.ts'
import { readObject } from '../object-reader.ts'
import type { RejectedLine } from '../sinks/sink-kind.ts'

/** Times are inverted against this, the last millisecond of 13 digits. */
const LAST_MS = 9_999_999_999_999
const CALL_WITHIN_MS = 30_000
/** R2 lists and deletes at most this many objects at once (R2 Workers API). */
const MAX_LISTED = 1_000
const MAX_REASON_CHARACTERS = 300
const SUFFIX = '.ndjson.gz'
const ITEM_ID = /^\d{13}-[0-9a-f]{32}$/

export interface SinkQuarantineItem {
  id: string
  /** When the newest of its lines was received. */
  receivedAt: string
  lines: number
  /** Of the first line: the others may have their own. */
  reason: string
}

export interface QuarantinedLine extends ArchivedLine {
  reason: string
}

/** Puts lines of a batch aside; durable when it resolves. The same batch again is the same object. */
export async function putSinkQuarantine(
  env: Env,
  place: { environmentId: string; sinkId: string; batchId: string },
  lines: readonly ArchivedLine[],
  rejected: readonly RejectedLine[],
): Promise<void> {
  const reasons = new Map(rejected.map(({ eventId, reason }) => [eventId, cut(reason)]))
  const kept = lines.filter(({ header }) => reasons.has(header.eventId))
  const newestMs = Math.max(...kept.map(({ header }) => Date.parse(header.receivedAt)))
  const id = `${String(LAST_MS - newestMs).padStart(13, '0')}-${place.batchId}`
  const parts = kept.map((line) => withReason(line, reasons.get(line.header.eventId) ?? ''))
  const customMetadata = {
    lines: String(kept.length),
    receivedAt: new Date(newestMs).toISOString(),
    reason: rejected[0] === undefined ? '' : cut(rejected[0].reason),
  }
  const key = sinkQuarantineKey(place, id)
  await new Deadline(CALL_WITHIN_MS).run(
    env.ARCHIVE.put(key, await gzip(concatBytes(parts)), { customMetadata }),
  )
}

/** One page, newest first. `after`: the id of the last item of the page before. */
export async function listSinkQuarantine(
  env: Env,
  place: { environmentId: string; sinkId: string },
  after: string | null,
  limit: number,
): Promise<{ items: SinkQuarantineItem[]; next: string | null }> {
  const prefix = sinkQuarantinePrefix(place)
  const listed = await env.ARCHIVE.list({
    prefix,
    limit: Math.min(limit, MAX_LISTED),
    include: ['customMetadata'],
    ...(after === null ? {} : { startAfter: sinkQuarantineKey(place, after) }),
  })
  const items = listed.objects.map(({ key, customMetadata }) => ({
    id: key.slice(prefix.length, -SUFFIX.length),
    receivedAt: customMetadata?.['receivedAt'] ?? '',
    lines: Number(customMetadata?.['lines'] ?? 0),
    reason: customMetadata?.['reason'] ?? '',
  }))
  return { items, next: listed.truncated ? (items.at(-1)?.id ?? null) : null }
}

/** The lines of an item. Throws ObjectGone where there is none. */
export async function* readSinkQuarantine(env: Env, key: string): AsyncGenerator<QuarantinedLine> {
  const deadline = new Deadline(CALL_WITHIN_MS)
  for await (const piece of readObject(env, { key, ranges: null }, deadline)) {
    for (const { header, line } of linesOf(piece)) {
      const { reason = '', ...own } = header as LineHeader & { reason?: string }
      yield { header: own, line, reason }
    }
  }
}

/** Throws items away: these, or every one of the sink's. Returns how many there were. */
export async function purgeSinkQuarantine(
  env: Env,
  place: { environmentId: string; sinkId: string },
  ids: readonly string[] | null,
): Promise<number> {
  if (ids !== null) {
    await env.ARCHIVE.delete(ids.map((id) => sinkQuarantineKey(place, id)))
    return ids.length
  }
  let purged = 0
  for (;;) {
    const { objects } = await env.ARCHIVE.list({ prefix: sinkQuarantinePrefix(place), limit: MAX_LISTED })
    if (objects.length === 0) return purged
    await env.ARCHIVE.delete(objects.map(({ key }) => key))
    purged += objects.length
  }
}

/** What the keys of all sinks of an environment begin with. */
export function allSinkQuarantines(environmentId: string): string {
  return `sink-quarantine/environment=${environmentId}/`
}

/** Whether a text has the form of an item's id. */
export function isSinkQuarantineId(text: string): boolean {
  return ITEM_ID.test(text)
}

export function sinkQuarantineKey(place: { environmentId: string; sinkId: string }, id: string): string {
  return `${sinkQuarantinePrefix(place)}${id}${SUFFIX}`
}

function sinkQuarantinePrefix({ environmentId, sinkId }: { environmentId: string; sinkId: string }): string {
  return `${allSinkQuarantines(environmentId)}sink=${sinkId}/`
}

/** The line as it lies there: NDJSON with the reason in front. */
export function withReason(line: ArchivedLine, reason: string): Bytes {
  const envelope = envelopeOfLine(line)
  return concatBytes([utf8(`{"reason":${JSON.stringify(reason)},`), envelope.subarray(1)])
}

function cut(reason: string): string {
  return reason.slice(0, MAX_REASON_CHARACTERS)
}
