/**
 * Reads the JSON of a carve block (spec 2.7) as it comes: the small members are kept, `data` is decoded piece by
 * piece. Members may come in any order. Pure: it does no I/O and decides nothing.
 */

import { textOf, type Bytes } from '../lib/bytes.ts'
import { JsonScanner, type CapturedValue, type JsonPath, type ScanWish } from '../lib/json-scanner.ts'
import { JsonStringStream } from '../lib/json-string-stream.ts'
import { Base64Stream } from './base64-stream.ts'

/** More than any session id, request id or number has. */
const MAX_MEMBER_BYTES = 2_048

export class BlockReader {
  readonly #members: Record<string, unknown> = {}
  readonly #scanner = new JsonScanner({
    enter: (path, kind) => this.#enter(path, kind),
    captured: (path, value) => this.#captured(path, value),
    piece: (_path, bytes) => this.#decode(bytes),
  })
  readonly #text = new JsonStringStream()
  readonly #base64 = new Base64Stream()
  #pieces: Bytes[] = []
  #dataBegan = false
  #fault: string | null = null
  #decodedBytes = 0

  /** Why this is no block, or null so far. */
  get fault(): string | null {
    return this.#fault ?? this.#scanner.fault?.detail ?? null
  }

  /** The members that have come, except `data`. */
  get members(): Readonly<Record<string, unknown>> {
    return this.#members
  }

  /** Bytes of `data` decoded so far. */
  get decodedBytes(): number {
    return this.#decodedBytes
  }

  /** Reads the next bytes of the body. */
  push(chunk: Bytes): void {
    this.#scanner.push(chunk)
  }

  /** Says that the body is over; `fault` then says whether it was a whole block. */
  end(): void {
    this.#scanner.end()
    if (!this.#dataBegan) this.#fault ??= 'there is no data'
    if (!this.#base64.end()) this.#fault ??= 'the data is not base64'
  }

  /** The decoded bytes that have come since the last call. */
  takePieces(): Bytes[] {
    const pieces = this.#pieces
    this.#pieces = []
    return pieces
  }

  #enter(path: JsonPath, kind: string): ScanWish {
    if (path.length === 0) {
      if (kind !== 'object') this.#fault ??= 'a block is an object'
      return 'descend'
    }
    const [name] = path
    if (name === 'data') {
      if (this.#dataBegan || kind !== 'string') this.#fault ??= 'data is one string'
      this.#dataBegan = true
      return this.#fault === null ? 'stream' : 'skip'
    }
    const isKnown = name === 'block_id' || name === 'session_id' || name === 'request_id'
    return isKnown && (kind === 'string' || kind === 'number') ? { maxBytes: MAX_MEMBER_BYTES } : 'skip'
  }

  #captured(path: JsonPath, value: CapturedValue): void {
    const name = String(path[0])
    if (name in this.#members) this.#fault ??= `${name} comes twice`
    else if (value.bytes === null) this.#fault ??= `${name} is too long`
    else this.#members[name] = JSON.parse(textOf(value.bytes)) as unknown
  }

  #decode(bytes: Uint8Array): void {
    if (this.#fault !== null) return
    const text = this.#text.push(bytes)
    const decoded = text === null ? null : this.#base64.push(text)
    if (decoded === null) {
      this.#fault = 'the data is not base64'
    } else if (decoded.length > 0) {
      this.#pieces.push(decoded)
      this.#decodedBytes += decoded.length
    }
  }
}
