/**
 * A viewer over a WebSocket. A Worker cannot see how fast the other side reads, so it says so itself, by credits: each
 * is room for a line. Everything about it lies with the socket, so that the object may sleep meanwhile.
 */

import { concatBytes, textOf, utf8, type Bytes } from '../../lib/bytes.ts'
import type { LineFilter } from '../line-filter.ts'
import { gapLine } from './viewer-queue.ts'
import { endLine, heartbeatLine, Wanted, type Viewer } from './viewer.ts'

/** One credit is a line of up to so many bytes; a longer one takes more. */
const BYTES_PER_CREDIT = 4_096
/** What a socket may have on its way: 16 MiB at most. */
const MAX_CREDITS = 4_096
export const FIRST_CREDITS = 1_000
const MAX_COMMAND_CHARACTERS = 256
const LINE_FEED = utf8('\n')
/** WebSocket close code: policy violation (RFC 6455 section 7.4.1). */
const POLICY_VIOLATION = 1008

/** What survives hibernation with the socket. */
interface Attachment {
  format: 1
  filter: LineFilter
  tokenHash: string | null
  credits: number
  missed: number
}

export class SocketViewer implements Viewer {
  readonly tokenHash: string | null
  readonly wanted: Wanted
  readonly #socket: WebSocket
  readonly #attachment: Attachment
  #pending: Bytes[] = []

  /** A socket that was given its attachment by `attach` before. */
  constructor(socket: WebSocket) {
    this.#socket = socket
    this.#attachment = socket.deserializeAttachment() as Attachment
    this.tokenHash = this.#attachment.tokenHash
    this.wanted = new Wanted(this.#attachment.filter)
  }

  static attach(socket: WebSocket, filter: LineFilter, tokenHash: string | null): void {
    const attachment: Attachment = { format: 1, filter, tokenHash, credits: FIRST_CREDITS, missed: 0 }
    socket.serializeAttachment(attachment)
  }

  /** Takes lines while there are credits; after a gap again once the gap was told. */
  offer(item: Bytes): void {
    const cost = Math.max(1, Math.ceil(item.length / BYTES_PER_CREDIT))
    if (this.#attachment.missed > 0 || cost > this.#attachment.credits) return this.miss(1)
    this.#attachment.credits -= cost
    this.#pending.push(item)
  }

  miss(lines: number): void {
    this.#attachment.missed += lines
  }

  flush(): void {
    this.#send(this.#pending)
    this.#pending = []
    this.#socket.serializeAttachment(this.#attachment)
  }

  /** Its credits say all: who has none left wants no waiting for. */
  isBehind(): boolean {
    return false
  }

  beat(nowMs: number): void {
    if (this.#attachment.missed > 0) this.#tellGap()
    else this.#send([heartbeatLine(nowMs)])
    this.flush()
  }

  end(reason: string): void {
    this.#send([endLine(reason)])
    this.#socket.close(POLICY_VIOLATION, reason)
  }

  /** What the viewer says. False where it is nothing that this stream knows. */
  take(message: string | ArrayBuffer): boolean {
    const lines = creditsOf(message)
    if (lines === null) return false
    this.#attachment.credits = Math.min(MAX_CREDITS, this.#attachment.credits + lines)
    if (this.#attachment.missed > 0) this.#tellGap()
    this.flush()
    return true
  }

  #tellGap(): void {
    this.#send([utf8(gapLine(this.#attachment.missed))])
    this.#attachment.missed = 0
  }

  /** A message is NDJSON too: one line or several. A socket that is closing takes nothing any more. */
  #send(items: readonly Bytes[]): void {
    if (items.length === 0 || this.#socket.readyState !== WebSocket.OPEN) return
    this.#socket.send(
      textOf(concatBytes(items.flatMap((item, at) => (at === 0 ? [item] : [LINE_FEED, item])))),
    )
  }
}

/** `{"type":"credit","lines":500}`: room for so many more. Null for anything else. */
function creditsOf(message: string | ArrayBuffer): number | null {
  if (typeof message !== 'string' || message.length > MAX_COMMAND_CHARACTERS) return null
  let command: unknown
  try {
    command = JSON.parse(message)
  } catch {
    // What is no JSON is no command.
    return null
  }
  const { type, lines } = (command ?? {}) as { type?: unknown; lines?: unknown }
  const isCredit = type === 'credit' && typeof lines === 'number' && Number.isInteger(lines) && lines > 0
  return isCredit ? lines : null
}
