/** Parts in an isolate's memory, least recently used last out. Parts are immutable, so nothing here grows stale. */

import type { Bytes } from '../lib/bytes.ts'

/** An isolate has 128 MB for everything (Workers limits); design 4 gives parts 32 MiB of it. */
const MAX_CACHE_BYTES = 32 * 1_024 * 1_024

export class PartCache {
  readonly #maxBytes: number
  readonly #parts = new Map<string, Bytes>()
  #totalBytes = 0

  constructor(maxBytes = MAX_CACHE_BYTES) {
    this.#maxBytes = maxBytes
  }

  get(hash: string): Bytes | undefined {
    const bytes = this.#parts.get(hash)
    if (bytes !== undefined) {
      this.#parts.delete(hash)
      this.#parts.set(hash, bytes)
    }
    return bytes
  }

  /** Whether so many bytes go in without throwing others out. */
  fits(bytes: number): boolean {
    return this.#totalBytes + bytes <= this.#maxBytes
  }

  set(hash: string, bytes: Bytes): void {
    if (this.#parts.has(hash) || bytes.length > this.#maxBytes) return
    this.#parts.set(hash, bytes)
    this.#totalBytes += bytes.length
    for (const [oldest, oldBytes] of this.#parts) {
      if (this.#totalBytes <= this.#maxBytes) break
      this.#parts.delete(oldest)
      this.#totalBytes -= oldBytes.length
    }
  }
}
