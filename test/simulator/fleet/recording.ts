/** An admin route on tape: what it said last is said again, so that readers see one moment, however often they read. */
import type { OperatorClient } from '../../../src/simulator/fleet/operator-client.ts'

export type Reader = Pick<OperatorClient, 'pages' | 'items' | 'json' | 'bytes'>

export interface Recording {
  /** Reads from the server, and keeps what it said. */
  readonly recorder: Reader
  /** Says what was kept. Only what was never asked for is asked of the server. */
  readonly player: Reader
}

export function makeRecording(client: Reader): Recording {
  const pages = new Map<string, string[]>()
  const bytes = new Map<string, Buffer | undefined>()
  const replies = new Map<string, unknown>()
  const recorder = readerOf({
    async *pages(path) {
      const said: string[] = []
      for await (const page of client.pages(path)) {
        said.push(page)
        yield page
      }
      pages.set(path, said)
    },
    async bytes(path) {
      const said = await client.bytes(path)
      bytes.set(path, said)
      return said && Buffer.from(said)
    },
    async json<T>(method: string, path: string, body?: unknown) {
      const said = await client.json<T>(method, path, body)
      replies.set(`${method} ${path}`, said)
      return said
    },
  })
  const player = readerOf({
    async *pages(path) {
      yield* pages.get(path) ?? recorder.pages(path)
    },
    async bytes(path) {
      if (!bytes.has(path)) return recorder.bytes(path)
      const said = bytes.get(path)
      // A copy: tests change bytes.
      return said && Buffer.from(said)
    },
    async json<T>(method: string, path: string, body?: unknown) {
      const said = replies.get(`${method} ${path}`)
      return said === undefined ? recorder.json<T>(method, path, body) : (said as T)
    },
  })
  return { recorder, player }
}

function readerOf(reader: Omit<Reader, 'items'>): Reader {
  return {
    ...reader,
    async *items<T>(path: string) {
      for await (const page of reader.pages(path)) yield* (JSON.parse(page) as { items: T[] }).items
    },
  }
}
