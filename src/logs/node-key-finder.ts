/**
 * Finds the member `node_key` in a body while its bytes pass by: plain or gzip (announced or not, spec 1.1), at the
 * beginning or the end, and - so that an old agent's poison can be put aside instead of coming back for ever - in
 * a body that is no JSON at all. Keeps no more than a key's length of what passed.
 */

import { concatBytes, textOf, type Bytes } from '../lib/bytes.ts'
import { looksGzipped } from '../lib/compression.ts'
import { JsonScanner } from '../lib/json-scanner.ts'

/** Longer than any node key (design 4: <= 200 bytes) with its member name. */
const MAX_KEY_BYTES = 512
/** A member as an agent writes it. Inside a string of another member its quotes would be escaped. */
const SALVAGE = /"node_key"\s*:\s*"([a-z]{3}\d-[A-Za-z0-9_-]{1,400})"/

export type FoundKey =
  | { kind: 'found'; key: string }
  /** A JSON body without a node key. */
  | { kind: 'absent' }
  /** Not JSON, not gzip, or too large inflated; the key is what looks like one in it. */
  | { kind: 'unreadable'; salvaged: string | null }

export class NodeKeyFinder {
  readonly #maxBytes: number
  readonly #scanner: JsonScanner
  #head: Bytes | null = new Uint8Array(0)
  #inflater: { writer: WritableStreamDefaultWriter<Bytes>; drained: Promise<void> } | null = null
  #passedBytes = 0
  #broken = false
  #found: string | null = null
  #salvaged: string | null = null
  #tail: Bytes = new Uint8Array(0)

  /** Reads `maxBytes` of inflated bytes at most. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
    this.#scanner = new JsonScanner({
      enter: (path, kind) => {
        if (path.length === 0) return kind === 'object' ? 'descend' : 'skip'
        const wanted = path[0] === 'node_key' && this.#found === null
        return wanted && (kind === 'string' || kind === 'number') ? { maxBytes: MAX_KEY_BYTES } : 'skip'
      },
      captured: (_path, { bytes }) => {
        this.#found ??= bytes === null ? null : String(JSON.parse(textOf(bytes)))
      },
    })
  }

  /** Looks at the next bytes of the body as received. */
  async push(chunk: Bytes): Promise<void> {
    if (this.#head === null) return this.#pass(chunk)
    const head = concatBytes([this.#head, chunk])
    this.#head = head.length < 2 ? head : null
    if (this.#head !== null) return
    if (looksGzipped(head)) this.#inflater = this.#startInflating()
    await this.#pass(head)
  }

  /** Says that the body ended, and what it told. */
  async end(): Promise<FoundKey> {
    if (this.#head !== null && this.#head.length > 0) this.#look(this.#head)
    if (this.#inflater !== null) {
      await this.#inflater.writer.close().catch(() => this.#giveUp())
      await this.#inflater.drained
    }
    if (this.#found !== null) return { kind: 'found', key: this.#found }
    const readable = !this.#broken && this.#scanner.end() === null
    return readable ? { kind: 'absent' } : { kind: 'unreadable', salvaged: this.#salvaged }
  }

  async #pass(chunk: Bytes): Promise<void> {
    if (this.#broken || this.#found !== null) return
    if (this.#inflater === null) this.#look(chunk)
    else await this.#inflater.writer.write(chunk).catch(() => this.#giveUp())
  }

  #startInflating(): { writer: WritableStreamDefaultWriter<Bytes>; drained: Promise<void> } {
    const { readable, writable } = new DecompressionStream('gzip')
    const writer = writable.getWriter() as WritableStreamDefaultWriter<Bytes>
    // Its failures are seen at each write; unobserved they would be reported as unhandled.
    writer.closed.catch(() => undefined)
    return { writer, drained: this.#drain(readable as ReadableStream<Bytes>) }
  }

  async #drain(readable: ReadableStream<Bytes>): Promise<void> {
    const reader = readable.getReader()
    try {
      for (;;) {
        const { done, value } = await reader.read()
        if (done) return
        this.#look(value)
        if (this.#found !== null || this.#broken) return await reader.cancel()
      }
    } catch {
      // A DecompressionStream has one failure: the bytes are no gzip.
      this.#giveUp()
    }
  }

  #look(chunk: Bytes): void {
    this.#passedBytes += chunk.length
    if (this.#passedBytes > this.#maxBytes) this.#giveUp()
    if (this.#broken || this.#found !== null || this.#salvaged !== null) return
    if (!this.#scanner.push(chunk)) {
      const searched = concatBytes([this.#tail, chunk])
      this.#salvaged = SALVAGE.exec(textOf(searched))?.[1] ?? null
    }
    const ending = chunk.length < MAX_KEY_BYTES ? concatBytes([this.#tail, chunk]) : chunk
    this.#tail = ending.slice(-MAX_KEY_BYTES)
  }

  #giveUp(): void {
    this.#broken = true
  }
}
