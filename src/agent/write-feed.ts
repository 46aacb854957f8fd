/**
 * Feeds the body of a distributed write to its reader as it comes, gzip or plain: what is inflated is never whole in
 * memory, and no more of it is looked at than a limit.
 */

import type { Bytes } from '../lib/bytes.ts'
import { looksGzipped } from '../lib/compression.ts'
import { MAX_KEY_SEARCH_BYTES, MAX_WRITE_BODY_BYTES } from './constants.ts'
import type { WriteBodyReader } from './write-body.ts'

/** What a body turned out to be. `cut`: too large, and not read to its end, so that statuses may be missing. */
export type WriteVerdict = 'whole' | 'too-large' | 'cut' | 'malformed'

interface Inflater {
  writer: WritableStreamDefaultWriter<BufferSource>
  /** Settles when everything that was written is inflated and read; false: it was no whole gzip member. */
  drained: Promise<boolean>
}

export class WriteFeed {
  readonly #reader: WriteBodyReader
  #inflater: Inflater | null = null
  /** Bytes of JSON that came, and how many of them are looked at. */
  #bytes = 0
  #maxBytes = MAX_KEY_SEARCH_BYTES
  #begun = false

  constructor(reader: WriteBodyReader) {
    this.#reader = reader
  }

  /** Takes the next piece; resolves when there is room for more. */
  async write(piece: Bytes): Promise<void> {
    if (!this.#begun && piece.length > 0) {
      this.#begun = true
      if (looksGzipped(piece)) this.#inflater = this.#inflate()
    }
    if (this.#inflater === null) this.#take(piece)
    // A broken member is told by the end; what comes after the limit is not inflated.
    else if (this.#bytes <= this.#maxBytes) await this.#inflater.writer.write(piece).catch(() => undefined)
  }

  /** The body is over. */
  async end(): Promise<WriteVerdict> {
    let isWhole = true
    if (this.#inflater !== null) {
      await this.#inflater.writer.close().catch(() => undefined)
      isWhole = await this.#inflater.drained
    }
    if (this.#bytes > this.#maxBytes) return 'cut'
    if (!isWhole || this.#reader.end() !== null) return 'malformed'
    return this.#bytes > MAX_WRITE_BODY_BYTES ? 'too-large' : 'whole'
  }

  #take(piece: Bytes): void {
    this.#bytes += piece.length
    if (this.#bytes <= this.#maxBytes) this.#reader.push(piece)
  }

  #inflate(): Inflater {
    // A mebibyte of zeros is a kibibyte of gzip: inflated bytes are CPU that an agent does not pay for.
    this.#maxBytes = MAX_WRITE_BODY_BYTES
    const { readable, writable } = new DecompressionStream('gzip')
    return { writer: writable.getWriter(), drained: this.#drain(readable.getReader()) }
  }

  async #drain(inflated: ReadableStreamDefaultReader<Uint8Array>): Promise<boolean> {
    try {
      for (;;) {
        const { done, value } = await inflated.read()
        if (done) return true
        this.#take(value as Bytes)
        if (this.#bytes > this.#maxBytes) {
          await inflated.cancel()
          return true
        }
      }
    } catch {
      // Its one failure: the bytes are not a whole gzip member.
      return false
    }
  }
}
