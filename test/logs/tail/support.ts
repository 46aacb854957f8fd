/** Watches the live tail as operators do. */

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

/** The next piece of a tail as text. */
export async function readOnce(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  const { done, value } = await reader.read()
  if (done) throw new Error('the tail has ended')
  // Lines of the tests are ASCII, so a piece never ends inside a character.
  return new TextDecoder().decode(value)
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
