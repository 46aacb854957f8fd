/**
 * Whether two machines use one node: the keys that it is seen with, in the order in which they are seen. Pure.
 *
 * An agent has one key at a time, the one that its last enroll gave it (spec 2.1). So one machine goes from key to key and
 * never back: a database that was lost, an enroll that was sent twice, an OS installed anew all look like this. Two
 * machines go to and fro. A machine that was set back to a snapshot goes back once; it is two only when it goes on, too.
 */

/** Requests that were under way when the agent enrolled end within this time: it gives up at 16 s, three tries (spec 1.6). */
export const GRACE_S = 60
/** The older key, the newer, the older: with less one machine that was set back to a snapshot could be meant. */
const TURNS = 3
/** Between two turns; machines poll in minutes. What is further apart is a machine that is set back now and then. */
const FORGOTTEN_AFTER_S = 24 * 3_600

/** The newest key of a node, and what was seen of an older one since. Seconds since 1970. */
export interface KeyUse {
  newestS: number
  /** Null: none was seen since, but for what was under way. */
  older: { issuedS: number; turns: number; last: 'older' | 'newest'; atS: number } | null
}

export interface KeySighting {
  issuedS: number
  atS: number
}

/** What both keys in use come to. */
export interface TwoKeys {
  olderS: number
  newerS: number
}

/** Notes that a key was seen. `before` null: none was yet. */
export function noteKeyUse(before: KeyUse | null, { issuedS, atS }: KeySighting): KeyUse {
  if (before === null || issuedS > before.newestS) return { newestS: issuedS, older: null }
  const { newestS, older } = before
  const seen = issuedS === newestS ? 'newest' : 'older'
  if (seen === 'older' && atS < newestS + GRACE_S) return before
  if (older === null || atS - older.atS > FORGOTTEN_AFTER_S) {
    return seen === 'older'
      ? { newestS, older: { issuedS, turns: 1, last: seen, atS } }
      : { newestS, older: null }
  }
  // Isolates tell late, so what was seen earlier is no turn.
  if (atS < older.atS) return before
  if (older.last === seen) return { newestS, older: { ...older, atS } }
  const olderS = seen === 'older' ? issuedS : older.issuedS
  return { newestS, older: { issuedS: olderS, turns: older.turns + 1, last: seen, atS } }
}

/** The two keys that are both in use; null as long as it may be one machine. */
export function twoKeysOf({ newestS, older }: KeyUse): TwoKeys | null {
  return older === null || older.turns < TURNS ? null : { olderS: older.issuedS, newerS: newestS }
}
