/**
 * One piece of the weekly inspection: a listing of R2 against the index. Objects that the index does not know are read
 * and taken up, as if the consumer had just written them; rows without an object are marked, and operators see the number.
 */

import type { Deadline } from '../../lib/deadline.ts'
import {
  MAX_ROW_ID_BYTES,
  MAX_ROW_NAMES,
  MAX_ROW_NODES,
  retentionDaysOfKey,
  type ArchiveRow,
} from '../archive-object.ts'
import { prefixesOf } from '../id-prefixes.ts'
import {
  archivePrefixes,
  LEFT_ALONE_MS,
  type Compared,
  type InspectedCounts,
  type InspectionWork,
} from '../index/inspection.ts'
import { LINE_TYPES, type LineType } from '../line.ts'
import { ObjectDamaged, ObjectGone, readObject } from '../object-reader.ts'
import { compactLinesOf } from './lines.ts'

/** Objects that one piece takes up; each is read whole. */
const MAX_HEALED_AT_ONCE = 50
/** R2 lists no more at once. */
const MAX_LISTED = 1_000

export interface InspectContext {
  env: Env
  environmentId: string
  deadline: Deadline
  nowMs: number
}

export interface InspectedPiece {
  found: InspectedCounts
  next: InspectionWork | null
}

/** Looks at one listing. Throws when R2 or the index does not answer: the piece is then done again. */
export async function inspectPiece(context: InspectContext, work: InspectionWork): Promise<InspectedPiece> {
  const { env, environmentId, deadline, nowMs } = context
  const prefixes = archivePrefixes(environmentId)
  const prefix = prefixes[work.prefixNumber] ?? ''
  const { afterKey } = work
  const listed = await deadline.run(
    env.ARCHIVE.list({ prefix, limit: MAX_LISTED, ...(afterKey === null ? {} : { startAfter: afterKey }) }),
  )
  const throughKey = listed.truncated ? (listed.objects.at(-1)?.key ?? null) : null
  const keys = listed.objects.map(({ key }) => key)
  const archive = env.ARCHIVE_INDEX.getByName(environmentId)
  const compared: Compared = await deadline.run(
    archive.compareKeys({ prefix, afterKey, throughKey, keys }, nowMs),
  )
  const old = new Set(
    listed.objects.flatMap(({ key, uploaded }) => (uploaded.getTime() <= nowMs - LEFT_ALONE_MS ? [key] : [])),
  )
  const orphans = compared.orphans.filter((key) => old.has(key))
  const healed = await heal(context, orphans.slice(0, MAX_HEALED_AT_ONCE))
  const missing = await confirmMissing(context, compared.missing)
  const found = { seen: keys.length, orphans: orphans.length, healed, missing }
  // More orphans than were healed now: they are orphans still when this listing is made again.
  if (orphans.length > MAX_HEALED_AT_ONCE && healed > 0) {
    return { found: { ...found, seen: 0, orphans: healed }, next: work }
  }
  if (throughKey !== null) return { found, next: { ...work, afterKey: throughKey } }
  const prefixNumber = work.prefixNumber + 1
  return { found, next: prefixNumber < prefixes.length ? { prefixNumber, afterKey: null } : null }
}

async function confirmMissing(
  { env, environmentId, deadline }: InspectContext,
  rows: Compared['missing'],
): Promise<number> {
  const gone: Compared['missing'] = []
  for (const row of rows) {
    if ((await deadline.run(env.ARCHIVE.head(row.key))) === null) gone.push(row)
  }
  if (gone.length > 0) await deadline.run(env.ARCHIVE_INDEX.getByName(environmentId).markMissing(gone))
  return gone.length
}

/** Takes objects up by reading them; how many. What is no object of lines is left where it is. */
async function heal(
  { env, environmentId, deadline }: InspectContext,
  keys: readonly string[],
): Promise<number> {
  const rows: ArchiveRow[] = []
  for (const key of keys) {
    try {
      const row = await rowOfObject(env, key, deadline)
      if (row !== null) rows.push(row)
    } catch (error) {
      if (!(error instanceof ObjectGone) && !(error instanceof ObjectDamaged)) throw error
      console.error(JSON.stringify({ event: 'orphan-unreadable', key, reason: error.name }))
    }
  }
  if (rows.length > 0) await deadline.run(env.ARCHIVE_INDEX.getByName(environmentId).add(rows))
  return rows.length
}

async function rowOfObject(env: Env, key: string, deadline: Deadline): Promise<ArchiveRow | null> {
  const [, type = '', date = '', hour = ''] = /\/type=([^/]+)\/date=([^/]+)\/hour=([^/]+)\//.exec(key) ?? []
  if (!LINE_TYPES.includes(type as LineType)) return null
  const nodes = new Set<string>()
  const names = new Set<string>()
  const eventIds: string[] = []
  const texts = new Map<string, string>()
  const row = { lineBytes: 0, lines: 0, firstMs: Number.POSITIVE_INFINITY, lastMs: 0 }
  for await (const piece of readObject(env, { key, ranges: null }, deadline)) {
    row.lineBytes += piece.length
    for (const { eventId, nodeId, name, receivedAtMs } of compactLinesOf(piece, 0, texts)) {
      if (nodeId !== '') nodes.add(nodeId)
      names.add(name)
      eventIds.push(eventId)
      row.lines += 1
      row.firstMs = Math.min(row.firstMs, receivedAtMs)
      row.lastMs = Math.max(row.lastMs, receivedAtMs)
    }
  }
  if (row.lines === 0) return null
  const ids = prefixesOf(eventIds)
  const head = await deadline.run(env.ARCHIVE.head(key))
  return {
    ...row,
    key,
    type: type as LineType,
    hour: `${date}T${hour}`,
    retentionDays: retentionDaysOfKey(key),
    bytes: head?.size ?? 0,
    nodes: nodes.size > MAX_ROW_NODES ? null : [...nodes],
    names: names.size > MAX_ROW_NAMES ? null : [...names],
    ids: ids.length > MAX_ROW_ID_BYTES ? null : ids,
  }
}
