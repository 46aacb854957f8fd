/** What a scanner keeps of a text while it passes in chunks: the value that was asked for, and a member's name. */

import { concatBytes, textOf, type Bytes } from './bytes.ts'
import type { JsonPath, JsonVisitor, ScanWish } from './json-visitor.ts'

/** Longest member name, as written, that is kept for the path; a longer one is "" there. */
const MAX_NAME_BYTES = 4_096

/** One value whose bytes the visitor wants: gathered up to a limit, or handed on piece by piece. */
export class ValueCapture {
  /** How many containers were open when the value began. */
  readonly depth: number
  /** Where in the present chunk the value's bytes begin. */
  start: number
  readonly #visitor: JsonVisitor
  readonly #path: JsonPath
  /** null: streamed. */
  readonly #maxBytes: number | null
  readonly #parts: Bytes[] = []
  #totalBytes = 0

  constructor(
    visitor: JsonVisitor,
    path: JsonPath,
    wish: Exclude<ScanWish, 'descend' | 'skip'>,
    at: { depth: number; start: number },
  ) {
    this.#visitor = visitor
    this.#path = path
    this.#maxBytes = wish === 'stream' ? null : wish.maxBytes
    this.depth = at.depth
    this.start = at.start
  }

  keep(bytes: Bytes): void {
    if (bytes.length === 0) return
    this.#totalBytes += bytes.length
    if (this.#maxBytes === null) this.#visitor.piece?.(this.#path, bytes)
    else if (this.#totalBytes <= this.#maxBytes) this.#parts.push(bytes)
    else this.#parts.length = 0
  }

  /** Tells the visitor that the value ended. */
  finish(): void {
    if (this.#maxBytes === null) {
      this.#visitor.left?.(this.#path)
      return
    }
    const [only] = this.#parts
    const whole = this.#parts.length === 1 && only !== undefined ? only : concatBytes(this.#parts)
    const bytes = this.#totalBytes <= this.#maxBytes ? whole : null
    this.#visitor.captured?.(this.#path, { bytes, totalBytes: this.#totalBytes })
  }
}

/** One member's name on its way. */
export class NameCapture {
  /** Where in the present chunk the name's bytes begin. */
  start: number
  readonly #parts: Uint8Array[] = []
  #totalBytes = 0

  constructor(start: number) {
    this.start = start
  }

  keep(bytes: Uint8Array): void {
    this.#totalBytes += bytes.length
    if (this.#totalBytes <= MAX_NAME_BYTES) this.#parts.push(bytes)
  }

  /** The name, its escapes resolved. One that is too long is kept nowhere: half of it could end inside an escape. */
  text(): string {
    const raw = this.#totalBytes > MAX_NAME_BYTES ? '' : textOf(concatBytes(this.#parts))
    return raw.includes('\\') ? (JSON.parse(`"${raw}"`) as string) : raw
  }
}
