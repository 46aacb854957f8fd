import { concatBytes, type Bytes } from './bytes.ts'

/** The first two bytes of every gzip member (RFC 1952 section 2.3.1). */
export function looksGzipped(bytes: Uint8Array): boolean {
  return bytes.length >= 2 && bytes[0] === 0x1f && bytes[1] === 0x8b
}

/** Compresses bytes into one gzip member. */
export async function gzip(bytes: Uint8Array): Promise<Bytes> {
  const stream = new Response(bytes as Bytes).body
  if (stream === null) throw new Error('a response made of bytes has a body')
  return new Uint8Array(await new Response(stream.pipeThrough(new CompressionStream('gzip'))).arrayBuffer())
}

export type GunzipFailure = { kind: 'corrupt' } | { kind: 'too-large'; maxBytes: number }

/**
 * Inflates gzip bytes, never materialising more than `maxBytes` (a bomb is cut off while it inflates).
 */
export async function gunzip(
  bytes: Uint8Array,
  maxBytes: number,
): Promise<{ ok: true; value: Bytes } | { ok: false; reason: GunzipFailure }> {
  const body = new Response(bytes as Bytes).body
  if (body === null) return { ok: false, reason: { kind: 'corrupt' } }
  const reader = body.pipeThrough(new DecompressionStream('gzip')).getReader()
  const parts: Uint8Array[] = []
  let total = 0
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return { ok: true, value: concatBytes(parts) }
      total += value.length
      if (total > maxBytes) {
        await reader.cancel()
        return { ok: false, reason: { kind: 'too-large', maxBytes } }
      }
      parts.push(value)
    }
  } catch {
    // A DecompressionStream over bytes in memory has one failure: the bytes are not a whole gzip member.
    return { ok: false, reason: { kind: 'corrupt' } }
  }
}
