/**
 * A set of ordinals as chunked bitsets: the one notion behind targets, tags, canaries and revocation (design 1).
 * A million nodes are 125 KB. Chunks without members are not stored, trailing zero bytes neither.
 */

import type { Bytes } from '../lib/bytes.ts'

/** Ordinals a chunk; 4,096 bytes, well inside a D1 or Durable Object row. */
export const ORDINALS_PER_CHUNK = 32_768
const FORMAT = 1

export class NodeSet {
  readonly #chunks = new Map<number, Bytes>()

  /** A set of the given ordinals. */
  static of(ordinals: Iterable<number>): NodeSet {
    const set = new NodeSet()
    for (const ordinal of ordinals) set.add(ordinal)
    return set
  }

  /** A set from its chunks as D1 keeps them. */
  static ofChunks(chunks: Iterable<{ chunk: number; bits: Uint8Array }>): NodeSet {
    const set = new NodeSet()
    for (const { chunk, bits } of chunks) set.#chunks.set(chunk, new Uint8Array(bits))
    return set
  }

  /** Reads the form that `toBytes` wrote. Throws where it is not one: the bytes are our own. */
  static fromBytes(bytes: Uint8Array): NodeSet {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    if (bytes.length < 1 || view.getUint8(0) !== FORMAT) throw new Error('not a node set of a known format')
    const set = new NodeSet()
    let offset = 1
    while (offset < bytes.length) {
      const chunk = view.getUint32(offset)
      const length = view.getUint16(offset + 4)
      set.#chunks.set(chunk, new Uint8Array(bytes.slice(offset + 6, offset + 6 + length)))
      offset += 6 + length
    }
    return set
  }

  has(ordinal: number): boolean {
    const bits = this.#chunks.get(Math.floor(ordinal / ORDINALS_PER_CHUNK))
    const position = ordinal % ORDINALS_PER_CHUNK
    return bits !== undefined && ((bits[position >> 3] ?? 0) & (1 << (position & 7))) !== 0
  }

  add(ordinal: number): void {
    const chunk = Math.floor(ordinal / ORDINALS_PER_CHUNK)
    const position = ordinal % ORDINALS_PER_CHUNK
    let bits = this.#chunks.get(chunk)
    if (bits === undefined || bits.length <= position >> 3) {
      const grown = new Uint8Array((position >> 3) + 1)
      if (bits !== undefined) grown.set(bits)
      bits = grown
      this.#chunks.set(chunk, bits)
    }
    bits[position >> 3] = (bits[position >> 3] ?? 0) | (1 << (position & 7))
  }

  delete(ordinal: number): void {
    const bits = this.#chunks.get(Math.floor(ordinal / ORDINALS_PER_CHUNK))
    const position = ordinal % ORDINALS_PER_CHUNK
    const byte = bits?.[position >> 3]
    if (bits !== undefined && byte !== undefined) bits[position >> 3] = byte & ~(1 << (position & 7))
  }

  /** How many ordinals the set has. */
  get size(): number {
    let size = 0
    for (const bits of this.#chunks.values()) for (const byte of bits) size += bitsIn(byte)
    return size
  }

  /** Ordinals in ascending order. */
  *[Symbol.iterator](): Generator<number> {
    for (const { chunk, bits } of this.chunks()) {
      for (let index = 0; index < bits.length; index += 1) {
        const byte = bits[index] ?? 0
        for (let bit = 0; bit < 8 && byte >> bit !== 0; bit += 1) {
          if ((byte & (1 << bit)) !== 0) yield chunk * ORDINALS_PER_CHUNK + index * 8 + bit
        }
      }
    }
  }

  /** The chunks that have members, ascending, without trailing zero bytes: equal sets give equal chunks. */
  chunks(): { chunk: number; bits: Bytes }[] {
    const chunks: { chunk: number; bits: Bytes }[] = []
    for (const [chunk, bits] of [...this.#chunks].sort(([a], [b]) => a - b)) {
      const trimmed = bits.slice(0, bits.findLastIndex((byte) => byte !== 0) + 1)
      if (trimmed.length > 0) chunks.push({ chunk, bits: trimmed })
    }
    return chunks
  }

  /** One byte string; equal sets give equal bytes. */
  toBytes(): Bytes {
    const chunks = this.chunks()
    const bytes = new Uint8Array(1 + chunks.reduce((total, { bits }) => total + 6 + bits.length, 0))
    const view = new DataView(bytes.buffer)
    view.setUint8(0, FORMAT)
    let offset = 1
    for (const { chunk, bits } of chunks) {
      view.setUint32(offset, chunk)
      view.setUint16(offset + 4, bits.length)
      bytes.set(bits, offset + 6)
      offset += 6 + bits.length
    }
    return bytes
  }

  /** A set of those members that `keep` says yes to. */
  filter(keep: (ordinal: number) => boolean): NodeSet {
    const kept = new NodeSet()
    for (const ordinal of this) if (keep(ordinal)) kept.add(ordinal)
    return kept
  }

  /** Adds every member of another set. */
  addAll(other: NodeSet): void {
    for (const [chunk, bits] of other.#chunks) {
      const own = this.#chunks.get(chunk)
      const united = new Uint8Array(Math.max(own?.length ?? 0, bits.length))
      if (own !== undefined) united.set(own)
      for (const [index, byte] of bits.entries()) united[index] = (united[index] ?? 0) | byte
      this.#chunks.set(chunk, united)
    }
  }

  /** Keeps the members that another set has too. */
  retainAll(other: NodeSet): void {
    for (const [chunk, bits] of this.#chunks) {
      const others = other.#chunks.get(chunk)
      if (others === undefined) this.#chunks.delete(chunk)
      else for (const [index, byte] of bits.entries()) bits[index] = byte & (others[index] ?? 0)
    }
  }

  /** Takes every member of another set out. */
  deleteAll(other: NodeSet): void {
    for (const [chunk, bits] of this.#chunks) {
      const others = other.#chunks.get(chunk)
      if (others === undefined) continue
      for (const [index, byte] of bits.entries()) bits[index] = byte & ~(others[index] ?? 0)
    }
  }
}

function bitsIn(byte: number): number {
  let count = 0
  for (let rest = byte; rest !== 0; rest &= rest - 1) count += 1
  return count
}
