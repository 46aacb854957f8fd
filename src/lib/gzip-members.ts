/**
 * One gzip file of several members, each of which says its own length (an extra field of RFC 1952 section 2.3.1.1, as
 * bgzip does): any gunzip reads the whole, and who knows where a member begins reads that one alone.
 */

import { concatBytes, type Bytes } from './bytes.ts'
import { gunzip, gzip } from './compression.ts'

/** ID1, ID2, CM, FLG, MTIME, XFL, OS. */
const HEADER_BYTES = 10
const FLAGS_AT = 3
const HAS_EXTRA = 0b100
/** "OE": our mark, then a length of 4 and the whole member's length as 32 bits, least significant byte first. */
const MARK_1 = 0x4f
const MARK_2 = 0x45
const FIELD_BYTES = 4
/** XLEN and the field. */
const EXTRA_BYTES = 2 + 4 + FIELD_BYTES
const SIZE_AT = HEADER_BYTES + 2 + 4

/** Compresses bytes into one member that says its length. */
export async function gzipMember(bytes: Uint8Array): Promise<Bytes> {
  const plain = await gzip(bytes)
  if (plain[FLAGS_AT] !== 0) throw new Error('CompressionStream writes a header without extras')
  const member = concatBytes([
    plain.subarray(0, HEADER_BYTES),
    new Uint8Array(EXTRA_BYTES),
    plain.subarray(HEADER_BYTES),
  ])
  const view = new DataView(member.buffer)
  view.setUint8(FLAGS_AT, HAS_EXTRA)
  view.setUint16(HEADER_BYTES, EXTRA_BYTES - 2, true)
  view.setUint8(HEADER_BYTES + 2, MARK_1)
  view.setUint8(HEADER_BYTES + 3, MARK_2)
  view.setUint16(HEADER_BYTES + 4, FIELD_BYTES, true)
  view.setUint32(SIZE_AT, member.length, true)
  return member
}

/** The members of a gzip file; one that says no length goes on to the end. The parts point into `file`. */
export function* membersOf(file: Bytes): Generator<Bytes> {
  let start = 0
  while (start < file.length) {
    const length = memberLength(file, start) ?? file.length - start
    yield file.subarray(start, start + length)
    start += length
  }
}

/** Inflates a file of such members piece by piece. Throws where it is no gzip, or a member is over `maxBytes`. */
export async function* inflateMembers(file: Bytes, maxBytes: number): AsyncGenerator<Bytes> {
  for (const member of membersOf(file)) {
    const inflated = await gunzip(member, maxBytes)
    if (!inflated.ok) throw new Error(`an archived object is ${inflated.reason.kind}`)
    yield inflated.value
  }
}

function memberLength(file: Bytes, start: number): number | null {
  if (start + HEADER_BYTES + EXTRA_BYTES > file.length) return null
  const view = new DataView(file.buffer, file.byteOffset + start)
  if (view.getUint8(FLAGS_AT) !== HAS_EXTRA || view.getUint16(HEADER_BYTES, true) !== EXTRA_BYTES - 2)
    return null
  if (view.getUint8(HEADER_BYTES + 2) !== MARK_1 || view.getUint8(HEADER_BYTES + 3) !== MARK_2) return null
  const length = view.getUint32(SIZE_AT, true)
  return length > HEADER_BYTES + EXTRA_BYTES && start + length <= file.length ? length : null
}
