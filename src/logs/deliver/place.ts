/**
 * Places in what a sink reads. Each source has its own numbers or names (see *-source.ts); they only ever grow, part by
 * part. Pure.
 */

/** What is after the place is yet to be read. */
export type Place = readonly (number | string)[]

/** Negative, 0 or positive: whether `a` comes before, at or after `b`. Both are of one source. */
export function comparePlaces(a: Place, b: Place): number {
  for (const [at, part] of a.entries()) {
    const other = b[at]
    if (other === undefined || part === other) continue
    return part < other ? -1 : 1
  }
  return 0
}
