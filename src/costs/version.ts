/** What tells one version of a scheduled query from another. Pure but for hashing. */

import { hexOf, sha256, utf8 } from '../lib/bytes.ts'

/** Eight bytes of a hash: of one name there are a few versions. */
const HASH_BYTES = 8
const BEFORE_INTERVAL = '@'

/**
 * What an agent runs, and how often: e.g. `9f2c…@3600`, a hash of the SQL as it is written and the interval in seconds. A
 * change of either makes another version, whose costs begin anew; other keys of a query are not in osquery_schedule, and
 * make none.
 */
export async function versionOf(sql: string, intervalS: number): Promise<string> {
  const hash = hexOf((await sha256(utf8(sql))).subarray(0, HASH_BYTES))
  return `${hash}${BEFORE_INTERVAL}${intervalS}`
}

/** The part that two intervals of the same SQL have in common. */
export function sqlHashOf(version: string): string {
  return version.split(BEFORE_INTERVAL)[0] ?? ''
}
