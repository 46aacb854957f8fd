/**
 * A closed loop of requests over kept connections, as light as Node can: prepared bytes go out on raw sockets, replies
 * are only measured and looked at, not parsed. So that what is measured is the server.
 */

import { connect, type Socket } from 'node:net'

/** Gives the bytes of the next request, head and body; null when there are no more. */
export type NextRequest = () => Uint8Array | null

export interface LoadResult {
  requests: number
  /** Replies that were not 200. */
  failures: number
  seconds: number
}

const HEAD_END = Buffer.from('\r\n\r\n')
const OK = Buffer.from('HTTP/1.1 200')

/** The bytes of a POST. */
export function postBytes(
  url: URL,
  body: string | Uint8Array,
  headers: Record<string, string> = {},
): Uint8Array {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  const lines = Object.entries({
    host: url.host,
    'user-agent': 'osquery/5.23.1',
    accept: 'application/json',
    'content-type': 'application/json',
    'content-length': String(bytes.length),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.concat([Buffer.from(`POST ${url.pathname} HTTP/1.1\r\n${lines.join('')}\r\n`), bytes])
}

/** Connections to one server, kept between rounds. */
export class LoadGenerator {
  readonly #connections: Connection[]

  private constructor(connections: Connection[]) {
    this.#connections = connections
  }

  static async connect(url: URL, connections: number): Promise<LoadGenerator> {
    return new LoadGenerator(
      await Promise.all(Array.from({ length: connections }, () => Connection.open(url))),
    )
  }

  /** Sends until the time is up or there are no more requests; each connection waits for its reply. */
  async run(next: NextRequest, forMs: number): Promise<LoadResult> {
    const startedAtMs = performance.now()
    const endsAtMs = startedAtMs + forMs
    let requests = 0
    let failures = 0
    await Promise.all(
      this.#connections.map(async (connection) => {
        while (performance.now() < endsAtMs) {
          const request = next()
          if (request === null) return
          const isOk = await connection.exchange(request)
          requests += 1
          if (!isOk) failures += 1
        }
      }),
    )
    return { requests, failures, seconds: (performance.now() - startedAtMs) / 1_000 }
  }

  close(): void {
    for (const connection of this.#connections) connection.close()
  }
}

class Connection {
  readonly #socket: Socket
  #received: Buffer = Buffer.alloc(0)
  #waiting: { resolve: (isOk: boolean) => void; reject: (error: Error) => void } | null = null

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('close', () => this.#waiting?.reject(new Error('the server closed the connection')))
    socket.on('error', (error) => this.#waiting?.reject(error))
  }

  static open(url: URL): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: url.hostname, port: Number(url.port), noDelay: true })
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.off('error', reject)
        resolve(new Connection(socket))
      })
    })
  }

  exchange(request: Uint8Array): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
      this.#socket.write(request)
    })
  }

  close(): void {
    this.#waiting = null
    this.#socket.destroy()
  }

  #take(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
    const headEnd = this.#received.indexOf(HEAD_END)
    if (headEnd === -1) return
    const head = this.#received.toString('latin1', 0, headEnd)
    const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1]
    if (length === undefined) {
      this.#waiting?.reject(new Error(`a reply without Content-Length:\n${head}`))
      return
    }
    if (this.#received.length < headEnd + HEAD_END.length + Number(length)) return
    const isOk = this.#received.subarray(0, OK.length).equals(OK)
    this.#received = Buffer.alloc(0)
    this.#waiting?.resolve(isOk)
  }
}
