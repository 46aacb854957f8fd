/** The copy of an environment's snapshot in R2, which answers where the object does not (design 3). */

import type { EnvironmentStore } from './environment-store.ts'
import { partsOf } from './head.ts'
import { headKey, partKey } from './keys.ts'

/** Copies the present head, after the parts that it names. */
export async function copySnapshot(
  archive: R2Bucket,
  environmentId: string,
  store: EnvironmentStore,
): Promise<void> {
  const present = store.head()
  if (present === null || present.copied) return
  const { head } = present
  for (const { hash, bytes } of store.uncopiedParts(partsOf(head))) {
    await archive.put(partKey(environmentId, hash), bytes)
    store.markPartCopied(hash)
  }
  await archive.put(headKey(environmentId), JSON.stringify(head))
  store.markCopied(head.publication)
}

/** Deletes parts that are not named any more. A copy that is left behind costs its storage, nothing else. */
export async function deleteCopies(
  archive: R2Bucket,
  environmentId: string,
  hashes: readonly string[],
): Promise<void> {
  try {
    await archive.delete(hashes.map((hash) => partKey(environmentId, hash)))
  } catch (error) {
    const note = { event: 'snapshot-copies-left', count: hashes.length, error: String(error) }
    console.warn(JSON.stringify(note))
  }
}
