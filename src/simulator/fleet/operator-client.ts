/** The admin route as the fleet's operator uses it. */
import * as http from 'node:http'
import * as https from 'node:https'
import { buffer } from 'node:stream/consumers'

const ROOT = '/api/v1'
const TIMEOUT_MS = 60_000
const PAGE_ITEMS = 1_000

export interface OperatorClientOptions {
  /** Base URL without a trailing slash. */
  readonly url: string
  readonly token: string
  readonly ca?: string
}

/** An answer that is no success; `status` 0 if there was none. */
export class OperatorFailure extends Error {
  readonly status: number

  constructor(message: string, status: number) {
    super(message)
    this.status = status
  }
}

interface RawReply {
  readonly status: number
  readonly body: Buffer
}

export class OperatorClient {
  readonly #options: OperatorClientOptions
  readonly #agent: http.Agent
  readonly #agentForOnce: http.Agent

  constructor(options: OperatorClientOptions) {
    this.#options = options
    const newAgent = (keepAlive: boolean) =>
      options.url.startsWith('https:')
        ? new https.Agent({ keepAlive, ca: options.ca })
        : new http.Agent({ keepAlive })
    this.#agent = newAgent(true)
    this.#agentForOnce = newAgent(false)
  }

  /** The reply's body as text. Throws {@link OperatorFailure} unless the status is 2xx. */
  async call(method: string, path: string, body?: unknown): Promise<string> {
    const { body: replied, status } = await this.#send(method, `${this.#options.url}${ROOT}${path}`, body)
    const text = replied.toString()
    if (status < 200 || status > 299)
      throw new OperatorFailure(`${method} ${path} answered ${status}: ${text.slice(0, 300)}`, status)
    return text
  }

  /** The reply's bytes; undefined where there is no such thing (404). Throws {@link OperatorFailure} for other failures. */
  async bytes(path: string): Promise<Buffer | undefined> {
    const { body, status } = await this.#send('GET', `${this.#options.url}${ROOT}${path}`, undefined)
    if (status === 404) return undefined
    if (status !== 200)
      throw new OperatorFailure(`GET ${path} answered ${status}: ${body.toString().slice(0, 300)}`, status)
    return body
  }

  async json<T>(method: string, path: string, body?: unknown): Promise<T> {
    return JSON.parse(await this.call(method, path, body)) as T
  }

  /** The pages of a list as text, one after the other. Throws if the cursor comes back unchanged. */
  async *pages(path: string): AsyncGenerator<string> {
    let cursor: string | null = ''
    while (cursor !== null) {
      const join = path.includes('?') ? '&' : '?'
      const after = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`
      const text = await this.call('GET', `${path}${join}limit=${PAGE_ITEMS}${after}`)
      yield text
      const { nextCursor } = JSON.parse(text) as { nextCursor: string | null }
      if (nextCursor === cursor) throw new OperatorFailure(`${path}: the cursor does not move`, 200)
      cursor = nextCursor
    }
  }

  /** The items of a list. */
  async *items<T>(path: string): AsyncGenerator<T> {
    for await (const page of this.pages(path)) yield* (JSON.parse(page) as { items: T[] }).items
  }

  close(): void {
    this.#agent.destroy()
  }

  async #send(method: string, url: string, body: unknown): Promise<RawReply> {
    try {
      return await this.#exchange(method, url, body)
    } catch (error) {
      // The server may close a kept connection just as it is used again. Reading twice changes nothing.
      if (method !== 'GET') throw error
      return this.#exchange(method, url, body)
    }
  }

  async #exchange(method: string, url: string, body: unknown): Promise<RawReply> {
    const { request } = url.startsWith('https:') ? https : http
    const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
      const sending = request(
        url,
        {
          method,
          // A change must not fall into the gap where a kept connection is being closed.
          agent: method === 'GET' ? this.#agent : this.#agentForOnce,
          timeout: TIMEOUT_MS,
          headers: {
            authorization: `Bearer ${this.#options.token}`,
            ...(body !== undefined && { 'content-type': 'application/json' }),
          },
        },
        resolve,
      )
      sending.once('timeout', () => sending.destroy(new Error('no answer in time')))
      sending.once('error', (error) => reject(new OperatorFailure(`${method} ${url}: ${error.message}`, 0)))
      sending.end(body === undefined ? undefined : JSON.stringify(body))
    })
    return { status: response.statusCode ?? 0, body: await buffer(response) }
  }
}
