/** Sends what was put aside or is stuck through the pipeline once more. Doing it twice is harmless. */

import { enqueuePointer, metadataOf, replayKey } from './inbox.ts'
import { findQuarantined, type QuarantineItem } from './quarantine.ts'

/** Why there is nothing to send: it is not what the log route takes, whole. */
export type NoReplay = 'other-route' | 'not-a-body'

/** Whether an item can be sent once more; the reason why not, or null. */
export function noReplayOf({ route, reason, nodeId, receivedAt }: QuarantineItem): NoReplay | null {
  if (route !== 'log') return 'other-route'
  // Strays are what remained of a body whose lines are in the archive.
  if (reason === 'not-an-object' || nodeId === '' || Number.isNaN(Date.parse(receivedAt))) return 'not-a-body'
  return null
}

/**
 * Copies a log body from quarantine into the inbox, and tells the consumer. The item stays: what is still poison comes
 * back under the same id, and nothing is deleted before the lines are in the archive. Throws when R2 fails.
 */
export async function replayQuarantined(env: Env, environmentId: string, id: string): Promise<void> {
  const found = await findQuarantined(env, environmentId, id)
  if (found === null) return
  const { item, content } = found
  const receivedAtMs = Date.parse(item.receivedAt)
  const origin = { environmentId, nodeId: item.nodeId, ordinal: 0, platform: '', receivedAtMs }
  const key = replayKey(environmentId, id)
  const { readable, writable } = new FixedLengthStream(item.bytes)
  await Promise.all([
    env.ARCHIVE.put(key, readable, { customMetadata: metadataOf(origin, null) }),
    content.pipeTo(writable as WritableStream<Uint8Array>),
  ])
  await enqueuePointer(env, key, origin)
}
