/**
 * One POST as osqueryd's HTTP client makes it (specification 1.1, 1.3, 1.4): deadline over everything, one transparent
 * resend, redirects that keep method and body. It knows nothing of JSON: the judgement is judge.ts's.
 */
import * as http from 'node:http'
import * as https from 'node:https'
import { createSecureContext } from 'node:tls'

/** A reply as it came; `status` is only for people and statistics. */
export interface Reply {
  readonly kind: 'reply'
  readonly status: number
  readonly body: Uint8Array
  /** `Content-Encoding` of the body, if it has one. */
  readonly encoding?: string
}

/** No usable reply: the connection broke, a limit was passed, or the deadline did. */
export interface NoReply {
  readonly kind: 'no-reply'
  readonly reason: string
  readonly timedOut: boolean
}

export interface TransportOptions {
  /** PEM of the certificate to trust, for https with a self-signed certificate. */
  readonly ca?: string
  /** Deadline of one call with redirects and resend. osqueryd: 16,000, not configurable. */
  readonly timeoutMs: number
  /** Keep connections between calls. osqueryd opens a new one each time. */
  readonly keepAlive: boolean
  /** Send once more at once when the first try broke, as osqueryd does. */
  readonly transparentResend: boolean
}

/** Boost.Beast's defaults, which bound what osqueryd accepts. */
const MAX_REPLY_BYTES = 8 * 1024 * 1024
const MAX_REPLY_HEADER_BYTES = 8 * 1024
const MAX_REDIRECTS = 10
const REDIRECTS = new Set([301, 302, 303, 304, 305, 307, 308])

const TIMED_OUT: NoReply = { kind: 'no-reply', reason: 'timed out', timedOut: true }

type Headers = Readonly<Record<string, string>>

/** What an agent sends with: a {@link Transport}, or something around one. */
export interface Sender {
  /** POSTs the body. Never throws: whatever goes wrong, `stop` included, is a {@link NoReply}. */
  post(url: string, headers: Headers, body: Uint8Array, stop?: AbortSignal): Promise<Reply | NoReply>
  close(): void
}

/** Sends requests, for one agent or shared by many. {@link Transport.close} lets go of kept connections. */
export class Transport implements Sender {
  readonly #options: TransportOptions
  readonly #http: http.Agent
  readonly #https: https.Agent

  constructor(options: TransportOptions) {
    this.#options = options
    this.#http = new http.Agent({ keepAlive: options.keepAlive })
    this.#https = new https.Agent({
      keepAlive: options.keepAlive,
      // One context for all connections: parsing the certificate anew for each would dominate a load test.
      secureContext: createSecureContext({ ca: options.ca }),
      // osqueryd makes a full handshake each time.
      maxCachedSessions: 0,
    })
  }

  /** POSTs the body. Never throws: whatever goes wrong, `stop` included, is a {@link NoReply}. */
  async post(url: string, headers: Headers, body: Uint8Array, stop?: AbortSignal): Promise<Reply | NoReply> {
    if (stop?.aborted) return broken('stopped')
    const cut = new AbortController()
    let timedOut = false
    const timer = setTimeout(() => {
      timedOut = true
      cut.abort()
    }, this.#options.timeoutMs)
    // A listener of our own, taken away below: AbortSignal.any would pile up on a signal that lives for days.
    const onStop = () => cut.abort()
    stop?.addEventListener('abort', onStop)
    try {
      const first = await this.#follow(url, headers, body, cut.signal)
      if (first.kind === 'reply' || cut.signal.aborted || !this.#options.transparentResend)
        return timedOut ? TIMED_OUT : first
      const second = await this.#follow(url, headers, body, cut.signal)
      return timedOut ? TIMED_OUT : second
    } finally {
      clearTimeout(timer)
      stop?.removeEventListener('abort', onStop)
    }
  }

  /** Closes the connections that are kept. */
  close(): void {
    this.#http.destroy()
    this.#https.destroy()
  }

  async #follow(
    start: string,
    headers: Headers,
    body: Uint8Array,
    cut: AbortSignal,
  ): Promise<Reply | NoReply> {
    let url = start
    for (let hop = 0; hop <= MAX_REDIRECTS; hop += 1) {
      const answer = await this.#send(url, headers, body, cut)
      if (answer.kind === 'no-reply') return answer
      const { body: answered, encoding, location, status } = answer
      if (!REDIRECTS.has(status))
        return { kind: 'reply', status, body: answered, ...(encoding !== undefined && { encoding }) }
      // 304 counts as a redirect for osqueryd, so it fails here for want of a Location.
      if (!location) return broken(`${status} without Location`)
      // A relative Location must begin with `/`; nothing else is understood.
      if (!/^(\/|https?:)/.test(location)) return broken(`${status} to ${location.slice(0, 60)}`)
      url = new URL(location, url).href
    }
    return broken('too many redirects')
  }

  async #send(
    url: string,
    headers: Headers,
    body: Uint8Array,
    cut: AbortSignal,
  ): Promise<(Reply & { location: string }) | NoReply> {
    try {
      return await this.#exchange(url, headers, body, cut)
    } catch (error) {
      return broken(error instanceof Error ? error.message : String(error))
    }
  }

  #exchange(
    url: string,
    headers: Headers,
    body: Uint8Array,
    cut: AbortSignal,
  ): Promise<Reply & { location: string }> {
    return new Promise((resolve, reject) => {
      const secure = url.startsWith('https:')
      const options = {
        method: 'POST',
        headers: { ...headers, 'Content-Length': String(body.byteLength) },
        agent: secure ? this.#https : this.#http,
        maxHeaderSize: MAX_REPLY_HEADER_BYTES,
        signal: cut,
      }
      const request = secure ? https.request(url, options) : http.request(url, options)
      // osqueryd sends no Connection header, whether it reuses the connection or not.
      request.removeHeader('Connection')
      request.on('error', reject)
      request.on('response', (response) => {
        const chunks: Uint8Array[] = []
        let bytes = 0
        response.on('data', (chunk: Uint8Array) => {
          bytes += chunk.byteLength
          if (bytes > MAX_REPLY_BYTES) request.destroy(new Error('body limit exceeded'))
          else chunks.push(chunk)
        })
        response.on('error', reject)
        response.on('end', () => {
          const status = response.statusCode ?? 0
          const { location = '', 'content-encoding': encoding } = response.headers
          resolve({
            kind: 'reply',
            status,
            body: Buffer.concat(chunks),
            location,
            ...(encoding !== undefined && { encoding }),
          })
        })
      })
      request.end(body)
    })
  }
}

function broken(reason: string): NoReply {
  return { kind: 'no-reply', reason, timedOut: false }
}
