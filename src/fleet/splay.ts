/** How many groups of nodes may get intervals of their own, so that a fleet does not poll in waves (design 4). */
export const SPLAY_BUCKETS = 16
/** The shortest and the longest of a bucket's intervals are so much of the base away from it. */
export const SPLAY_SHARE = 0.1

/** The bucket of a node: spreads neighbours, never changes for an ordinal. */
export function splayBucketOf(ordinal: number): number {
  // Multiplicative hashing (Knuth): the top bits of ordinal times a large odd constant.
  return Math.imul(ordinal + 1, 0x9e3779b1) >>> 28
}

/**
 * The interval of one bucket: whole seconds from 90 % (bucket 0) to 110 % (the last), at least 1. The same for ever, and
 * never shorter for a longer base. Buckets that a key of another Worker names wrap around.
 */
export function splayedInterval(baseS: number, bucket: number): number {
  const step = (bucket % SPLAY_BUCKETS) / (SPLAY_BUCKETS - 1)
  return Math.max(1, Math.round(baseS * (1 - SPLAY_SHARE + 2 * SPLAY_SHARE * step)))
}
