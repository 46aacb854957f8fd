/** A log body as it came, held or lying in the inbox: read in inflated chunks, as often as needed. */

import type { Bytes } from '../lib/bytes.ts'
import { looksGzipped } from '../lib/compression.ts'
import { MAX_LOG_BODY_BYTES } from '../agent/constants.ts'
import type { QuarantineContent } from './quarantine.ts'

/** A body of which no more can be made: not gzip after all, or larger inflated than the limit. */
export class BodyUnreadable extends Error {
  override readonly name = 'BodyUnreadable'
  readonly reason: 'malformed' | 'too-large'

  constructor(reason: 'malformed' | 'too-large') {
    super(reason)
    this.reason = reason
  }
}

/** Thrown when the object vanished between two readings: somebody else has finished with it. */
export class BodyGone extends Error {
  override readonly name = 'BodyGone'
}

export interface StoredBody {
  receivedBytes: number
  /** The bytes as received. Throws where R2 fails. */
  raw(): Promise<ReadableStream<Uint8Array>>
  /** The same, for putting it aside. */
  content(): Promise<QuarantineContent>
}

export function heldBody(bytes: Bytes): StoredBody {
  return {
    receivedBytes: bytes.length,
    raw: async () => streamOf(bytes),
    content: async () => ({ bytes }),
  }
}

/** A body that stays in R2 and is streamed from there. */
export function objectBody(env: Env, key: string, length: number): StoredBody {
  async function raw(): Promise<ReadableStream<Uint8Array>> {
    const object = await env.ARCHIVE.get(key)
    if (object === null) throw new BodyGone(key)
    return object.body
  }
  return { receivedBytes: length, raw, content: async () => ({ stream: await raw(), length }) }
}

/**
 * The body's chunks, inflated where it is gzip, `MAX_LOG_BODY_BYTES` at most: a bomb is cut off while it inflates.
 * Throws BodyUnreadable for what the agent sent, anything else for what failed here.
 */
export async function* chunksOf(body: StoredBody): AsyncGenerator<Bytes> {
  const source = new SniffedSource((await body.raw()).getReader())
  let total = 0
  const stream = (await source.isGzip())
    ? source.stream().pipeThrough(new DecompressionStream('gzip') as ReadableWritablePair<Uint8Array>)
    : source.stream()
  const reader = stream.getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      total += value.length
      if (total > MAX_LOG_BODY_BYTES) throw new BodyUnreadable('too-large')
      yield value as Bytes
    }
  } catch (error) {
    if (error instanceof BodyUnreadable) throw error
    // A DecompressionStream over a sound source has one failure: the bytes are no gzip.
    throw source.failure ?? new BodyUnreadable('malformed')
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}

/** Looks at the first bytes of a stream and gives it on whole; remembers whether the stream itself failed. */
class SniffedSource {
  failure: unknown = null
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>
  readonly #sniffed: Uint8Array[] = []

  constructor(reader: ReadableStreamDefaultReader<Uint8Array>) {
    this.#reader = reader
  }

  async isGzip(): Promise<boolean> {
    const head: number[] = []
    while (head.length < 2) {
      const { done, value } = await this.#reader.read()
      if (done) break
      this.#sniffed.push(value)
      head.push(...value.subarray(0, 2))
    }
    return looksGzipped(new Uint8Array(head))
  }

  stream(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        const first = this.#sniffed.shift()
        if (first !== undefined) return controller.enqueue(first)
        try {
          const { done, value } = await this.#reader.read()
          if (done) controller.close()
          else controller.enqueue(value)
        } catch (error) {
          this.failure = error
          controller.error(error)
        }
      },
      cancel: (reason) => this.#reader.cancel(reason),
    })
  }
}

function streamOf(bytes: Bytes): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    start(controller) {
      if (bytes.length > 0) controller.enqueue(bytes)
      controller.close()
    },
  })
}
