/** When a line's event happened, for destinations that search by time. Pure. */

import type { LineHeader } from '../line.ts'

const HOUR_MS = 60 * 60_000
/** An agent buffers a million lines while its server is away: a laptop may bring a season's. */
const MAX_LATE_MS = 90 * 24 * HOUR_MS
/** A clock ahead by more than this hides its lines from every search that ends now. */
const MAX_AHEAD_MS = HOUR_MS

/**
 * The agent's `unixTime` (seconds; a number or a text, spec 4.2), because that is what analysts search by - as long as
 * it is believable: an agent's clock is a claim. Else the time received. `line`: the agent's JSON, or null.
 */
export function eventTimeMs(header: LineHeader, line: Readonly<Record<string, unknown>> | null): number {
  const receivedAtMs = Date.parse(header.receivedAt)
  const claimed = line?.['unixTime']
  if (typeof claimed !== 'number' && typeof claimed !== 'string') return receivedAtMs
  const seconds = claimed === '' ? Number.NaN : Number(claimed)
  const claimedMs = Math.round(seconds * 1_000)
  if (!(claimedMs >= receivedAtMs - MAX_LATE_MS && claimedMs <= receivedAtMs + MAX_AHEAD_MS))
    return receivedAtMs
  return claimedMs
}
