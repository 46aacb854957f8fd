/**
 * Keys of a node that are another machine's: for each node that was split the second before which its keys do not count
 * any more. A part of the snapshot, read on each poll without being taken apart. Pure.
 */

import type { Bytes } from '../lib/bytes.ts'

/** First byte of a part; readers accept this one, and take any other for "nothing is known" (design R3). */
const FORMAT = 1
const HEADER_BYTES = 4
/** Ordinal and second, 4 bytes each. */
const ENTRY_BYTES = 8

export interface SupersededBefore {
  ordinal: number
  /** Seconds since 1970: keys that were issued earlier are superseded. */
  minimumIssuedAtS: number
}

/** The bytes of a part. */
export function supersededBytes(entries: readonly SupersededBefore[]): Bytes {
  const bytes = new Uint8Array(HEADER_BYTES + entries.length * ENTRY_BYTES)
  const view = new DataView(bytes.buffer)
  view.setUint8(0, FORMAT)
  for (const [index, entry] of entries.toSorted((a, b) => a.ordinal - b.ordinal).entries()) {
    view.setUint32(HEADER_BYTES + index * ENTRY_BYTES, entry.ordinal)
    view.setUint32(HEADER_BYTES + index * ENTRY_BYTES + 4, entry.minimumIssuedAtS)
  }
  return bytes
}

/** Whether a key of this node, issued then, is another machine's. A search in sorted entries: 20 looks in a million. */
export function isSuperseded(part: Bytes, ordinal: number, issuedAtS: number): boolean {
  if (part[0] !== FORMAT) return false
  const view = new DataView(part.buffer, part.byteOffset, part.byteLength)
  let low = 0
  let high = Math.floor((part.byteLength - HEADER_BYTES) / ENTRY_BYTES)
  while (low < high) {
    const middle = (low + high) >>> 1
    const at = HEADER_BYTES + middle * ENTRY_BYTES
    const found = view.getUint32(at)
    if (found === ordinal) return issuedAtS < view.getUint32(at + 4)
    if (found < ordinal) low = middle + 1
    else high = middle
  }
  return false
}
