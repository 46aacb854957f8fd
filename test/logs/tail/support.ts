/** Watches the live tail as operators do. */

import { connect } from 'node:net'
import { OPERATOR_TOKEN, type TestServer } from '../../support/harness.ts'

export interface TailLine {
  type: string
  eventId?: string
  nodeId?: string
  name?: string
  line?: Record<string, unknown>
  lines?: number
  reason?: string
}

export interface TailViewer {
  /** Everything so far. */
  seen: TailLine[]
  /** The values of `n` in the lines seen, in order. */
  numbers(): unknown[]
  line(wanted: (line: TailLine) => boolean): Promise<TailLine>
  ended: Promise<void>
  close(): Promise<void>
}

export function numbersOf(seen: readonly TailLine[]): unknown[] {
  return seen.flatMap(({ line }) => (line === undefined ? [] : [line['n']]))
}

/** How many lines a viewer was told that it missed. */
export function missedOf(seen: readonly TailLine[]): number {
  return seen.reduce((sum, { type, lines }) => sum + (type === 'gap' ? (lines ?? 0) : 0), 0)
}

/** The body of a tail. */
export async function openTail(
  server: TestServer,
  query = '',
  { environment = 'default', token = OPERATOR_TOKEN } = {},
): Promise<ReadableStream<Uint8Array>> {
  const response = await server.harness.fetch(`/api/v1/environments/${environment}/logs/tail${query}`, {
    headers: { authorization: `Bearer ${token}` },
  })
  if (response.status !== 200 || response.body === null) throw new Error(await response.text())
  return response.body as unknown as ReadableStream<Uint8Array>
}

export interface SlowTail {
  /** Begins to read, until the text has this. */
  readUntil(wanted: RegExp): Promise<string>
  destroy(): void
}

/** A tail whose reader takes nothing from its connection until it is told to. */
export async function openSlowTail(server: TestServer): Promise<SlowTail> {
  const { url } = await server.harness.listen()
  const socket = connect({ host: url.hostname, port: Number(url.port) })
  // HTTP/1.0: a body in one piece, without chunks.
  socket.write(
    `GET /api/v1/environments/default/logs/tail HTTP/1.0\r\nhost: ${url.host}\r\n` +
      `authorization: Bearer ${OPERATOR_TOKEN}\r\n\r\n`,
  )
  let text = ''
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject)
    socket.once('data', (data) => {
      socket.pause()
      text = String(data)
      resolve()
    })
  })
  return {
    async readUntil(wanted) {
      for await (const data of socket) {
        text += String(data)
        if (wanted.test(text.slice(-100_000))) break
      }
      return text.slice(text.indexOf('\r\n\r\n') + 4)
    },
    destroy: () => void socket.destroy(),
  }
}

/** Connects over HTTP; resolves once the stream has begun. */
export async function watchTail(
  server: TestServer,
  query = '',
  how: Parameters<typeof openTail>[2] = {},
): Promise<TailViewer> {
  const reader = (await openTail(server, query, how)).getReader()
  const seen: TailLine[] = []
  const ended = readLines(reader, seen)
  ended.catch(() => undefined)
  const viewer: TailViewer = {
    seen,
    numbers: () => numbersOf(seen),
    line: (wanted) => server.until(async () => seen.find(wanted)),
    ended,
    close: () => reader.cancel().catch(() => undefined),
  }
  await viewer.line(({ type }) => type === 'start')
  return viewer
}

async function readLines(reader: ReadableStreamDefaultReader<Uint8Array>, seen: TailLine[]): Promise<void> {
  const decoder = new TextDecoder()
  let rest = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    const pieces = (rest + decoder.decode(value, { stream: true })).split('\n')
    rest = pieces.pop() ?? ''
    for (const piece of pieces) seen.push(JSON.parse(piece) as TailLine)
  }
}

export interface TailSocket {
  seen: TailLine[]
  numbers(): unknown[]
  send(message: unknown): void
  closed: Promise<number>
  close(): void
}

/** Connects over a WebSocket. */
export async function watchTailSocket(
  server: TestServer,
  query = '',
  identity: Record<string, string> = { authorization: `Bearer ${OPERATOR_TOKEN}` },
): Promise<TailSocket> {
  const response = await server.harness.fetch(`/api/v1/environments/default/logs/tail${query}`, {
    headers: { upgrade: 'websocket', ...identity },
  })
  const { webSocket } = response as unknown as { webSocket: WebSocket & { accept(): void } }
  if (response.status !== 101) throw new Error(`${response.status} ${await response.text()}`)
  const seen: TailLine[] = []
  const closed = new Promise<number>((resolve) => {
    webSocket.addEventListener('close', ({ code }) => resolve(code))
  })
  webSocket.addEventListener('message', ({ data }) => {
    for (const line of String(data).split('\n')) seen.push(JSON.parse(line) as TailLine)
  })
  webSocket.accept()
  await server.until(async () => seen.some(({ type }) => type === 'start'))
  return {
    seen,
    numbers: () => numbersOf(seen),
    closed,
    send: (message) => webSocket.send(JSON.stringify(message)),
    close: () => {
      if (webSocket.readyState === WebSocket.OPEN) webSocket.close()
    },
  }
}
