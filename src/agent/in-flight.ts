/**
 * How many body bytes an isolate holds at once. All of its requests share 128 MB (Workers limits), and an
 * out-of-memory kill cannot be caught, so what does not fit is told to come back (design 4, Logs).
 */

import { MAX_IN_FLIGHT_BYTES } from './constants.ts'

let heldBytes = 0

/** Takes room for `bytes`; null where there is none. The returned function gives it back, once. */
export function takeRoom(bytes: number): (() => void) | null {
  if (heldBytes + bytes > MAX_IN_FLIGHT_BYTES) return null
  heldBytes += bytes
  let given = false
  return () => {
    if (!given) heldBytes -= bytes
    given = true
  }
}
