/** Which viewers' operator tokens are still tokens. */

import { controlDb } from '../db/control.ts'
import { knownTokenHashes } from '../db/operator-tokens.ts'
import { Deadline } from '../lib/deadline.ts'

const D1_WITHIN_MS = 2_000
/** D1 takes 100 parameters. */
const HASHES_AT_ONCE = 90

/** Those of these hashes that D1 has; null where it does not answer: then nobody is sent off. */
export async function stillTokens(
  db: D1Database,
  hashes: ReadonlySet<string>,
): Promise<ReadonlySet<string> | null> {
  const all = [...hashes]
  const known = new Set<string>()
  const deadline = new Deadline(D1_WITHIN_MS)
  try {
    for (let at = 0; at < all.length; at += HASHES_AT_ONCE) {
      const asked = knownTokenHashes(controlDb(db), all.slice(at, at + HASHES_AT_ONCE))
      for (const hash of await deadline.run(asked)) known.add(hash)
    }
    return known
  } catch {
    // Not the error itself: drizzle's has the statement's parameters in it.
    console.warn(JSON.stringify({ event: 'feed-tokens-unknown', tokens: all.length }))
    return null
  }
}
