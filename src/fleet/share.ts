/** A stable share of a fleet: by a hash of the ordinal, so that the same nodes are in it each time. Pure. */

const PARTS = 0x1_0000_0000

/** Whether an ordinal belongs to the first `percent` of the fleet. Every larger share holds every smaller one. */
export function isInShare(ordinal: number, percent: number): boolean {
  return (mixed(ordinal) / PARTS) * 100 < percent
}

/** The 32-bit finalizer of MurmurHash3: each bit of the ordinal changes half of the result. */
function mixed(ordinal: number): number {
  // Away from zero, which the finalizer leaves where it is.
  let hash = (ordinal + 0x9e37_79b9) >>> 0
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
