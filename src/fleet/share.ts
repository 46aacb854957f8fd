/** A stable share of a fleet: by a hash of the ordinal, so that the same nodes are in it each time. Pure. */

const PARTS = 0x1_0000_0000
/**
 * The fraction of the square root of 2, times 2^32. Multiples of it fall evenly over the range, so that any few hundred
 * nodes in a row have about their share in it, old nodes as well as new ones. Not the golden ratio, by which splay buckets
 * go: a share holds nodes of all buckets.
 */
const MULTIPLIER = 0x6a09_e667

/** Whether an ordinal belongs to the first `percent` of the fleet. Every larger share holds every smaller one. */
export function isInShare(ordinal: number, percent: number): boolean {
  return (hashOf(ordinal) / PARTS) * 100 < percent
}

/** Multiplicative hashing (Knuth). */
function hashOf(ordinal: number): number {
  return Math.imul(ordinal + 1, MULTIPLIER) >>> 0
}
