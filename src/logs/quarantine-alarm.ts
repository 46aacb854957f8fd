/** Raises an alarm for what lies in quarantine and nobody looked after: it ends with its lifecycle rule. */

import { LAST_MS, QUARANTINE_PREFIX } from './quarantine.ts'

/** Who looks after an item replays or deletes it. */
export const OLD_AFTER_MS = 7 * 24 * 60 * 60_000
/** Once a day is enough to say the same again. */
const EVERY_MS = 24 * 60 * 60_000
/** R2 lists at most this many at once: environments beyond wait until some of these are empty. */
const MAX_ENVIRONMENTS = 1_000

/**
 * Writes one `quarantine-old` for each environment with an item that has lain for over a week. Works in the first minute
 * of the day (UTC); one list call and one for each environment that has anything. Throws when R2 fails.
 */
export async function alarmOldQuarantine(env: Env, nowMs: number): Promise<void> {
  if (nowMs % EVERY_MS >= 60_000) return
  const folders = await env.ARCHIVE.list({
    prefix: QUARANTINE_PREFIX,
    delimiter: '/',
    limit: MAX_ENVIRONMENTS,
  })
  for (const folder of folders.delimitedPrefixes) {
    // Newest first: what comes after this name is older.
    const startAfter = `${folder}${String(LAST_MS - (nowMs - OLD_AFTER_MS)).padStart(13, '0')}.`
    const listed = await env.ARCHIVE.list({
      prefix: folder,
      startAfter,
      limit: 1,
      include: ['customMetadata'],
    })
    const [newest] = listed.objects
    if (newest === undefined) continue
    const { receivedAt = null, reason = null } = newest.customMetadata ?? {}
    const environment = folder.slice(`${QUARANTINE_PREFIX}environment=`.length, -1)
    console.error(JSON.stringify({ event: 'quarantine-old', environment, receivedAt, reason }))
  }
}
