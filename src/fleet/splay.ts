/** How many groups of nodes may get intervals of their own, so that a fleet does not poll in waves (design 4). */
export const SPLAY_BUCKETS = 16

/** The bucket of a node: spreads neighbours, never changes for an ordinal. */
export function splayBucketOf(ordinal: number): number {
  // Multiplicative hashing (Knuth): the top bits of ordinal times a large odd constant.
  return Math.imul(ordinal + 1, 0x9e3779b1) >>> 28
}
