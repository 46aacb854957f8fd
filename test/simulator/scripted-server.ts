/** A small server on loopback that says what a test tells it to, and remembers what it was sent. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { gunzipSync } from 'node:zlib'
import type { JsonObject } from '../../src/simulator/json.ts'

/** A request as it arrived; `body` is parsed, after gunzip if it was compressed. */
export interface SeenRequest {
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: JsonObject
  readonly text: string
}

/** What to answer: JSON, raw text with any status, or a closed connection. */
export type ScriptedReply =
  | { readonly json: unknown; readonly status?: number }
  | { readonly raw: string | Uint8Array; readonly status?: number; readonly headers?: Record<string, string> }
  | 'close'
  | 'never'

export type Handler = (request: SeenRequest) => ScriptedReply

export interface ScriptedServer {
  readonly url: string
  readonly seen: SeenRequest[]
  /** Replies by path. A path without a handler is 404 with the text `retry`. */
  readonly on: Map<string, Handler>
  /** Replies to use up first, whatever the handler says. */
  readonly next: Map<string, ScriptedReply[]>
  /** Requests for a path. */
  requests(path: string): SeenRequest[]
  close(): Promise<void>
}

export const BASE = '/api/osquery'
export const NODE_KEY = 'key-1'

/** Starts a server that behaves: enrolls, has an empty configuration, takes every log, result and carve. */
export async function startScriptedServer(): Promise<ScriptedServer> {
  const seen: SeenRequest[] = []
  const on = new Map<string, Handler>(Object.entries(goodHandlers()))
  const next = new Map<string, ScriptedReply[]>()
  const server = createServer((request, response) => {
    void readRequest(request).then((read) => {
      seen.push(read)
      const reply = next.get(read.path)?.shift() ?? on.get(read.path)?.(read) ?? { raw: 'retry', status: 404 }
      send(response, reply)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    seen,
    on,
    next,
    requests: (path) => seen.filter((request) => request.path === path),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function goodHandlers(): Record<string, Handler> {
  const ok: Handler = () => ({ json: {} })
  return {
    [`${BASE}/enroll`]: () => ({ json: { node_key: NODE_KEY } }),
    [`${BASE}/config`]: ok,
    [`${BASE}/log`]: ok,
    [`${BASE}/distributed/read`]: ok,
    [`${BASE}/distributed/write`]: ok,
    [`${BASE}/carve/begin`]: () => ({ json: { session_id: 'session-1' } }),
    [`${BASE}/carve/block`]: ok,
  }
}

async function readRequest(request: IncomingMessage): Promise<SeenRequest> {
  const sent = await buffer(request)
  const text = (request.headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent).toString()
  return { path: request.url ?? '', headers: request.headers, body: JSON.parse(text) as JsonObject, text }
}

function send(response: ServerResponse, reply: ScriptedReply): void {
  if (reply === 'never') return
  if (reply === 'close') response.socket?.destroy()
  else if ('json' in reply) response.writeHead(reply.status ?? 200).end(JSON.stringify(reply.json))
  else response.writeHead(reply.status ?? 200, reply.headers).end(reply.raw)
}
