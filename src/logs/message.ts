/**
 * What travels through the log queue: bytes, never JSON (escaping would make a body of 102,400 bytes too large). One
 * line of JSON says what it is; after its line feed comes the body, if it travels inside.
 */

import { concatBytes, hexOf, sha256, textOf, utf8, type Bytes } from '../lib/bytes.ts'

/** Readers accept this format and the one before it (design 4). */
const MESSAGE_FORMAT = 1
const LINE_FEED = 0x0a

/** Where a log body came from: what the node key says, and when the edge saw it. */
export interface LogOrigin {
  environmentId: string
  nodeId: string
  ordinal: number
  platform: string
  receivedAtMs: number
}

export type LogMessage =
  | { kind: 'body'; origin: LogOrigin; body: Bytes }
  /** The body lies in the inbox. The origin is null where only the body itself can tell. */
  | { kind: 'pointer'; origin: LogOrigin | null; key: string }

/** The bytes of a message. */
export function encodeMessage(message: LogMessage): Bytes {
  const { kind, origin } = message
  const head = message.kind === 'pointer' ? { kind, origin, key: message.key } : { kind, origin }
  const line = utf8(`${JSON.stringify({ format: MESSAGE_FORMAT, ...head })}\n`)
  return message.kind === 'body' ? concatBytes([line, message.body]) : line
}

/** Reads a message; null where it is of a format that this Worker does not know (a newer one may). */
export function decodeMessage(content: unknown): LogMessage | null {
  const bytes = bytesOf(content)
  const end = bytes?.indexOf(LINE_FEED) ?? -1
  if (bytes === null || end === -1) return null
  let head: { format?: unknown; kind?: unknown; origin?: LogOrigin | null; key?: string }
  try {
    head = JSON.parse(textOf(bytes.subarray(0, end))) as typeof head
  } catch {
    // Not written by any version of us that this one knows.
    return null
  }
  const { format, kind, origin = null, key } = head
  if (format !== MESSAGE_FORMAT) return null
  if (kind === 'body' && origin !== null) return { kind, origin, body: bytes.slice(end + 1) }
  return kind === 'pointer' && key !== undefined ? { kind, origin, key } : null
}

/**
 * The name of a body: the same node sending the same bytes again gives the same name, so a resend overwrites itself
 * and a batch that holds it twice stores it once (design R6).
 */
export async function bodyName(nodeId: string, body: Bytes): Promise<string> {
  return hexOf(await sha256(concatBytes([utf8(`${nodeId}\n`), body])))
}

function bytesOf(content: unknown): Bytes | null {
  if (content instanceof ArrayBuffer) return new Uint8Array(content)
  if (!ArrayBuffer.isView(content)) return null
  return new Uint8Array(content.buffer as ArrayBuffer, content.byteOffset, content.byteLength)
}
