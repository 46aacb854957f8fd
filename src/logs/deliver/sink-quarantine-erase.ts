/** Takes erased lines out of what sinks put aside: an operator's DELETE means these, too. */

import { concatBytes, type Bytes } from '../../lib/bytes.ts'
import { gzip } from '../../lib/compression.ts'
import type { Deadline } from '../../lib/deadline.ts'
import { erasedMatcher } from '../erased-lines.ts'
import type { ErasedLines } from '../index/erased.ts'
import { ObjectGone } from '../object-reader.ts'
import { allSinkQuarantines, readSinkQuarantine, withReason } from './sink-quarantine.ts'

/** Objects that one call reads, a batch of a few MiB each. */
const OBJECTS_AT_ONCE = 20

/** Goes over one listing. Returns how many objects had such lines, and where to go on (null: at the end). */
export async function eraseFromSinkQuarantine(
  env: Env,
  environmentId: string,
  erased: ErasedLines,
  cursor: string,
  deadline: Deadline,
): Promise<{ objects: number; cursor: string | null }> {
  const listed = await deadline.run(
    env.ARCHIVE.list({
      prefix: allSinkQuarantines(environmentId),
      limit: OBJECTS_AT_ONCE,
      include: ['customMetadata'],
      ...(cursor === '' ? {} : { cursor }),
    }),
  )
  let objects = 0
  for (const object of listed.objects) if (await eraseFromObject(env, object, erased, deadline)) objects += 1
  return { objects, cursor: listed.truncated ? listed.cursor : null }
}

/** Whether there was something in it. What is left stays under the same key. */
async function eraseFromObject(
  env: Env,
  { key, customMetadata }: R2Object,
  erased: ErasedLines,
  deadline: Deadline,
): Promise<boolean> {
  const isErased = erasedMatcher([erased])
  const kept: Bytes[] = []
  let removed = 0
  try {
    for await (const { header, line, reason } of readSinkQuarantine(env, key)) {
      if (isErased(header.nodeId, Date.parse(header.receivedAt))) removed += 1
      else kept.push(withReason({ header, line }, reason))
    }
  } catch (error) {
    if (error instanceof ObjectGone) return false
    throw error
  }
  if (removed === 0) return false
  if (kept.length === 0) await deadline.run(env.ARCHIVE.delete(key))
  else {
    const metadata = { ...customMetadata, lines: String(kept.length) }
    await deadline.run(env.ARCHIVE.put(key, await gzip(concatBytes(kept)), { customMetadata: metadata }))
  }
  return true
}
