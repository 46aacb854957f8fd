/**
 * One piece of an erasure: bodies that were set aside are deleted, objects are written anew without the lines. What is
 * left of an object gets a key of its own; the index changes over and then the old object is deleted: killed anywhere,
 * the piece is done again.
 */

import { concatBytes, hexOf, sha256, utf8 } from '../../lib/bytes.ts'
import { gzip } from '../../lib/compression.ts'
import type { Deadline } from '../../lib/deadline.ts'
import { archiveKey, OBJECT_HTTP_METADATA, type IndexedRow } from '../archive-object.ts'
import { eraseFromSinkQuarantine } from '../deliver/sink-quarantine-erase.ts'
import { INBOX_PREFIX } from '../inbox.ts'
import type { ErasedLines } from '../index/erased.ts'
import type { ErasedObject, ErasureWork } from '../index/erasures.ts'
import { erasedMatcher } from '../erased-lines.ts'
import { ObjectDamaged, ObjectGone, readObject } from '../object-reader.ts'
import { quarantinePrefix } from '../quarantine.ts'
import { bytesOfLine, compactLinesOf, type CompactLine } from './lines.ts'
import { outputOf } from './output.ts'

/** What a listing's place begins with: the prefix that it is in. */
const PLACES = ['inbox', 'quarantine', 'sink-quarantine'] as const

export interface EraseContext {
  env: Env
  environmentId: string
  deadline: Deadline
}

/** Deletes one listing of what was set aside. Returns how many, and where to go on (null: at the end). */
export async function eraseSetAside(
  { env, environmentId, deadline }: EraseContext,
  work: ErasureWork,
): Promise<{ deleted: number; cursor: string | null }> {
  const [place = PLACES[0], listCursor = ''] = (work.cursor ?? '').split(' ')
  const next = PLACES[PLACES.findIndex((name) => name === place) + 1]
  const nextPlace = next === undefined ? null : `${next} `
  if (place === 'sink-quarantine') {
    const done = await eraseFromSinkQuarantine(env, environmentId, work, listCursor, deadline)
    return { deleted: done.objects, cursor: done.cursor === null ? nextPlace : `${place} ${done.cursor}` }
  }
  const prefix = place === 'inbox' ? `${INBOX_PREFIX}${environmentId}/` : quarantinePrefix(environmentId)
  const listed = await deadline.run(
    env.ARCHIVE.list({
      prefix,
      include: ['customMetadata'],
      ...(listCursor === '' ? {} : { cursor: listCursor }),
    }),
  )
  const keys = listed.objects.filter((object) => isMeant(object, work)).map(({ key }) => key)
  if (keys.length > 0) await deadline.run(env.ARCHIVE.delete(keys))
  return { deleted: keys.length, cursor: listed.truncated ? `${place} ${listed.cursor}` : nextPlace }
}

function isMeant({ customMetadata, uploaded }: R2Object, { nodeId, untilMs }: ErasedLines): boolean {
  const { receivedAtMs, receivedAt, nodeId: sender } = customMetadata ?? {}
  const atMs = receivedAtMs === undefined ? Date.parse(receivedAt ?? '') : Number(receivedAtMs)
  if ((Number.isNaN(atMs) ? uploaded.getTime() : atMs) > untilMs) return false
  return nodeId === null || sender === nodeId
}

/** Takes lines out of objects, one after the other: each is held in memory. */
export async function eraseFromObjects(context: EraseContext, work: ErasureWork): Promise<ErasedObject[]> {
  const erased: ErasedObject[] = []
  for (const row of work.rows) {
    const outcome = await eraseFromObject(context, row, work)
    if (outcome !== null) erased.push(outcome)
  }
  return erased
}

async function eraseFromObject(
  { env, environmentId, deadline }: EraseContext,
  row: IndexedRow,
  work: ErasureWork,
): Promise<ErasedObject | null> {
  const { sequence } = row
  // All of it: no need to read it.
  if (work.nodeId === null && row.lastMs <= work.untilMs)
    return { sequence, removedLines: row.lines, left: null }
  const isErased = erasedMatcher([work])
  const kept: CompactLine[] = []
  const texts = new Map<string, string>()
  let removedLines = 0
  try {
    for await (const piece of readObject(env, row, deadline)) {
      for (const line of compactLinesOf(piece, sequence, texts)) {
        if (isErased(line.nodeId, line.receivedAtMs)) removedLines += 1
        else kept.push(line)
      }
    }
  } catch (error) {
    if (error instanceof ObjectGone) return { sequence, removedLines: 0, left: null }
    // Nobody can read it, so nobody reads these lines; the audit of the archive shows it.
    if (error instanceof ObjectDamaged) return null
    throw error
  }
  if (removedLines === 0) return null
  if (kept.length === 0) return { sequence, removedLines, left: null }
  const key = await keyOfRest(environmentId, row, work.id)
  const { row: made, file } = await outputOf(key, row, kept)
  // Raw objects stay as their followers know them: one member.
  const content = row.compacted ? file : await gzip(concatBytes(kept.map((line) => bytesOfLine(line))))
  await deadline.run(env.ARCHIVE.put(key, content, { httpMetadata: OBJECT_HTTP_METADATA }))
  return { sequence, removedLines, left: { ...made, bytes: content.length } }
}

async function keyOfRest(environmentId: string, row: IndexedRow, erasureId: string): Promise<string> {
  const made = hexOf(await sha256(utf8(`erased ${erasureId} ${row.sequence} ${row.key}`)))
  return archiveKey({ environmentId, ...row }, [made], 0)
}
