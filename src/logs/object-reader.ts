/** The lines of archived objects: whole ones, or the ranges that a search asked the index for. */

import type { Bytes } from '../lib/bytes.ts'
import type { Deadline } from '../lib/deadline.ts'
import { inflateMembers } from '../lib/gzip-members.ts'
import type { IndexedRow } from './archive-object.ts'

/** A raw object has 4 MiB of lines and ends with a whole one (8 MiB at most); a member of a compacted one has less. */
const MAX_MEMBER_BYTES = 64 * 1_024 * 1_024

/** The object of a row is not there: replaced and gone by now, erased, or past its retention. */
export class ObjectGone extends Error {
  override readonly name = 'ObjectGone'
  readonly key: string

  constructor(key: string) {
    super('an archived object is gone')
    this.key = key
  }
}

/** What is there is no gzip of ours. */
export class ObjectDamaged extends Error {
  override readonly name = 'ObjectDamaged'
}

/**
 * The inflated NDJSON of an object, in pieces of whole lines: `linesOf` takes them apart. Only `ranges` of it, where the
 * row has any. Throws ObjectGone, ObjectDamaged, or what R2 throws.
 */
export async function* readObject(
  env: Env,
  row: Pick<IndexedRow, 'key' | 'ranges'>,
  deadline: Deadline,
): AsyncGenerator<Bytes> {
  for (const range of row.ranges ?? [null]) {
    const object = await deadline.run(env.ARCHIVE.get(row.key, range === null ? {} : { range }))
    if (object === null) throw new ObjectGone(row.key)
    const file = new Uint8Array(await deadline.run(object.arrayBuffer()))
    const pieces = inflateMembers(file, MAX_MEMBER_BYTES)
    for (;;) {
      let next: IteratorResult<Bytes>
      try {
        next = await pieces.next()
      } catch (error) {
        // Inflating bytes that are held has one failure: they are no gzip.
        throw new ObjectDamaged('an archived object is no gzip', { cause: error })
      }
      if (next.done === true) break
      yield next.value
    }
  }
}
