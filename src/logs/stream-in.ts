/** Puts a body of known length into R2 while it arrives, so that its size does not matter to the isolate's memory. */

import type { Bytes } from '../lib/bytes.ts'

export interface IncomingStream {
  stream: ReadableStream<Uint8Array>
  length: number
}

/**
 * Streams a body into an object; resolves when the object is durable. `look` sees every chunk on its way. Throws when
 * R2 fails or the agent breaks off; no object is made then.
 */
export async function streamIn(
  env: Env,
  key: string,
  { stream, length }: IncomingStream,
  customMetadata: Record<string, string>,
  look?: (chunk: Bytes) => Promise<void>,
): Promise<void> {
  const { readable, writable } = new FixedLengthStream(length)
  const put = env.ARCHIVE.put(key, readable, { customMetadata })
  await Promise.all([put, look === undefined ? stream.pipeTo(writable) : passOn(stream, writable, look)])
}

async function passOn(
  stream: ReadableStream<Uint8Array>,
  writable: WritableStream<Uint8Array>,
  look: (chunk: Bytes) => Promise<void>,
): Promise<void> {
  const reader = stream.getReader()
  const writer = writable.getWriter()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return await writer.close()
      await look(value as Bytes)
      await writer.write(value)
    }
  } catch (error) {
    await writer.abort(error).catch(() => undefined)
    throw error
  }
}
