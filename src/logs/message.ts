/**
 * What travels through the log queue: bytes, never JSON (escaping would make a body of 102,400 bytes too large). One
 * line of JSON says what it is; after its line feed comes the body, if it travels inside.
 */

import { concatBytes, hexOf, sha256, textOf, utf8, type Bytes } from '../lib/bytes.ts'

/**
 * Readers accept this format and the one before it (design 4). Bodies and pointers are still written in format 1, so
 * that a Worker of before reads them; it leaves what is new to this one, by trying again later.
 */
const MESSAGE_FORMAT = 2
const BODY_FORMAT = 1
const LINE_FEED = 0x0a

/** Where a log body came from: what the node key says, and when the edge saw it. */
export interface LogOrigin {
  environmentId: string
  nodeId: string
  ordinal: number
  platform: string
  receivedAtMs: number
}

/** A query has answers in this shard that are not in the archive yet: which ones, the shard knows. */
export interface AnswersMessage {
  kind: 'answers'
  environmentId: string
  shards: number
  shard: number
  number: number
}

/** Audit rows of one environment, or of the deployment (null), that are not in the archive yet. */
export interface AuditMessage {
  kind: 'audit'
  environmentId: string | null
  ids: readonly string[]
}

/** A log body, travelling in the message or lying in the inbox. */
export type BodyMessage =
  | { kind: 'body'; origin: LogOrigin; body: Bytes }
  /** The body lies in the inbox. The origin is null where only the body itself can tell. */
  | { kind: 'pointer'; origin: LogOrigin | null; key: string }

export type LogMessage = BodyMessage | AnswersMessage | AuditMessage

/** The bytes of a message. */
export function encodeMessage(message: LogMessage): Bytes {
  switch (message.kind) {
    case 'body': {
      const { kind, origin, body } = message
      return concatBytes([headLine({ format: BODY_FORMAT, kind, origin }), body])
    }
    case 'pointer': {
      const { kind, origin, key } = message
      return headLine({ format: BODY_FORMAT, kind, origin, key })
    }
    case 'answers':
    case 'audit':
      return headLine({ format: MESSAGE_FORMAT, ...message })
  }
}

/** Reads a message; null where it is of a format that this Worker does not know (a newer one may). */
export function decodeMessage(content: unknown): LogMessage | null {
  const bytes = bytesOf(content)
  const end = bytes?.indexOf(LINE_FEED) ?? -1
  if (bytes === null || end === -1) return null
  let head: MessageHead
  try {
    head = JSON.parse(textOf(bytes.subarray(0, end))) as MessageHead
  } catch {
    // Not written by any version of us that this one knows.
    return null
  }
  return head.format === MESSAGE_FORMAT || head.format === BODY_FORMAT
    ? messageOf(head, bytes.subarray(end + 1))
    : null
}

interface MessageHead {
  format?: unknown
  kind?: unknown
  origin?: LogOrigin | null
  key?: string
  environmentId?: string | null
  shards?: number
  shard?: number
  number?: number
  ids?: string[]
}

function messageOf(head: MessageHead, body: Bytes): LogMessage | null {
  const { kind, origin = null, key, environmentId = null, shards, shard, number, ids } = head
  switch (kind) {
    case 'body':
      return origin === null ? null : { kind, origin, body: body.slice() }
    case 'pointer':
      return key === undefined ? null : { kind, origin, key }
    case 'answers':
      if (environmentId === null || shards === undefined) return null
      if (shard === undefined || number === undefined) return null
      return { kind, environmentId, shards, shard, number }
    case 'audit':
      return ids === undefined ? null : { kind, environmentId, ids }
    default:
      return null
  }
}

function headLine(head: object): Bytes {
  return utf8(`${JSON.stringify(head)}\n`)
}

/**
 * The name of a body: the same node sending the same bytes again gives the same name, so a resend overwrites itself
 * and a batch that holds it twice stores it once (design R6).
 */
export async function bodyName(nodeId: string, body: Bytes): Promise<string> {
  return hexOf(await sha256(concatBytes([utf8(`${nodeId}\n`), body])))
}

/** What a message is about: two of one name in a batch are one. */
export async function messageName(message: LogMessage): Promise<string> {
  switch (message.kind) {
    case 'body':
      return bodyName(message.origin.nodeId, message.body)
    case 'pointer':
      return message.key
    case 'answers':
      return `answers/${message.environmentId}/${message.shards}/${message.shard}/${message.number}`
    case 'audit':
      return `audit/${message.environmentId ?? ''}/${message.ids.join(',')}`
  }
}

function bytesOf(content: unknown): Bytes | null {
  if (content instanceof ArrayBuffer) return new Uint8Array(content)
  if (!ArrayBuffer.isView(content)) return null
  return new Uint8Array(content.buffer as ArrayBuffer, content.byteOffset, content.byteLength)
}
