/**
 * A destination of log lines on loopback: an HTTP server that does as its protocol says, and fails as it is told.
 * Failures are used up one a request, in order; then the protocol answers again.
 */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface DestinationRequest {
  method: string
  /** Path and query. */
  url: URL
  headers: Readonly<Record<string, string>>
  body: Buffer
}

export interface DestinationReply {
  status: number
  body?: string
  headers?: Record<string, string>
}

export type Failure =
  /** Answers this in the protocol's place; what came is not kept. */
  | DestinationReply
  /** Takes the request and never answers. */
  | 'hanging'
  /** Begins an answer, then closes its side in the middle. */
  | 'half-closed'
  /** Closes the connection without a word. */
  | 'reset'
  /** Does as it should, but the answer is lost on its way. */
  | 'answer-lost'

export interface Destination {
  /** `http://127.0.0.1:<port>`. */
  url: string
  /** Every request that came, failed ones too. */
  requests: DestinationRequest[]
  failures: Failure[]
  close(): Promise<void>
}

/** What a request may be at most before a server of this kind says 413, and what it says then. */
export interface DestinationLimits {
  maxBodyBytes: number
  tooLarge: DestinationReply
}

/** Starts a server. `answer` is the protocol; it may keep what it is given. */
export async function startDestination(
  limits: () => DestinationLimits,
  answer: (request: DestinationRequest) => DestinationReply,
): Promise<Destination> {
  const requests: DestinationRequest[] = []
  const failures: Failure[] = []

  async function handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const request = await readRequest(incoming)
    requests.push(request)
    const failure = failures.shift()
    if (failure === 'hanging') return
    if (failure === 'reset') return void incoming.socket.destroy()
    if (failure === 'half-closed') {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' })
      response.write('{"te')
      return void setTimeout(() => incoming.socket.end(), 20)
    }
    const { maxBodyBytes, tooLarge } = limits()
    const reply =
      typeof failure === 'object' ? failure : request.body.length > maxBodyBytes ? tooLarge : answer(request)
    if (failure === 'answer-lost') return void incoming.socket.destroy()
    response.writeHead(reply.status, { 'content-type': 'application/json', ...reply.headers })
    response.end(reply.body ?? '')
  }

  const server = createServer((incoming, response) => {
    handle(incoming, response).catch((error: unknown) => {
      response.writeHead(599)
      response.end(String(error))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    failures,
    close() {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

async function readRequest(incoming: IncomingMessage): Promise<DestinationRequest> {
  const parts: Buffer[] = []
  for await (const part of incoming) parts.push(part as Buffer)
  return {
    method: incoming.method ?? '',
    url: new URL(incoming.url ?? '/', `http://${incoming.headers.host ?? 'localhost'}`),
    headers: Object.fromEntries(
      Object.entries(incoming.headers).map(([name, value]) => [name, [value].flat().join(', ')]),
    ),
    body: Buffer.concat(parts),
  }
}
