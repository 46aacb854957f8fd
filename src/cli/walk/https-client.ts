/** Requests over HTTPS that trust one certificate alone, as curl --cacert does. */

import { Agent, request } from 'node:https'
import { buffer } from 'node:stream/consumers'

const TIMEOUT_MS = 15_000

export interface HttpsReply {
  status: number
  body: Uint8Array<ArrayBuffer>
}

export class HttpsClient {
  readonly #url: string
  readonly #agent: Agent
  readonly #headers: Readonly<Record<string, string>>

  constructor(url: string, certificate: string, headers: Readonly<Record<string, string>> = {}) {
    this.#url = url
    this.#agent = new Agent({ ca: certificate, keepAlive: false })
    this.#headers = headers
  }

  /** Rejects where no whole reply comes in time; any status is a reply. */
  send(method: string, path: string, json?: unknown): Promise<HttpsReply> {
    return new Promise((resolve, reject) => {
      const body = json === undefined ? undefined : JSON.stringify(json)
      const sending = request(`${this.#url}${path}`, {
        method,
        agent: this.#agent,
        headers: { ...this.#headers, ...(body !== undefined && { 'Content-Type': 'application/json' }) },
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
      sending.once('error', reject)
      sending.once('response', (response) => {
        buffer(response).then(
          (bytes) => resolve({ status: response.statusCode ?? 0, body: new Uint8Array(bytes) }),
          reject,
        )
      })
      sending.end(body)
    })
  }
}
