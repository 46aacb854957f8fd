/** The admin route of a server, as commands use it. */

import { readFile } from 'node:fs/promises'
import { request as requestPlain, type ClientRequest, type IncomingMessage } from 'node:http'
import { request as requestTls } from 'node:https'
import { buffer } from 'node:stream/consumers'

import { textOf } from '../lib/bytes.ts'
import { CliFailure } from './failure.ts'

/** The server gives itself 20 s. */
const PATIENCE_MS = 30_000

export interface AdminAccess {
  /** Without a path, e.g. https://fleet.example.com */
  url: string
  tokenFile: string
  /** A file with the certificate to trust, where it is none that the machine trusts. */
  ca?: string
}

export interface ServerReply {
  status: number
  text: string
}

/** Calls paths below one of /api/v1 with an operator's token. */
export class AdminRoute {
  readonly #base: string
  readonly #token: string
  readonly #certificate: string | undefined

  private constructor(base: string, token: string, certificate: string | undefined) {
    this.#base = base
    this.#token = token
    this.#certificate = certificate
  }

  /** Throws CliFailure where a file cannot be read. */
  static async of({ url, tokenFile, ca }: AdminAccess, path: string): Promise<AdminRoute> {
    const token = (await fileOf(tokenFile, '--token-file')).trim()
    if (!/^[!-~]+$/.test(token)) throw new CliFailure(`${tokenFile} has no token in it.`)
    const certificate = ca === undefined ? undefined : await fileOf(ca, '--ca')
    return new AdminRoute(`${url}/api/v1${path}`, token, certificate)
  }

  /** Any status is a reply; throws CliFailure where there is none. */
  async call(method: 'GET' | 'POST', path: string, body?: string): Promise<ServerReply> {
    try {
      return await this.#send(method, `${this.#base}${path}`, body)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw new CliFailure(`${new URL(this.#base).origin} does not answer: ${reason}`)
    }
  }

  /**
   * Reads a long reply piece by piece, as long as the signal lets it. Throws CliFailure with what the server says where it
   * refuses, and the connection's error where that breaks.
   */
  async *read(path: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const url = `${this.#base}${path}`
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const sending = this.#request(url, { method: 'GET', signal })
      sending.once('error', reject)
      sending.once('response', resolve)
      sending.end()
    })
    const status = response.statusCode ?? 0
    if (status !== 200) {
      const text = textOf(new Uint8Array(await buffer(response)))
      // Away for now is like a broken connection.
      const Failure = status >= 500 ? Error : CliFailure
      throw new Failure(`The server refuses (${status}): ${detailOf(text)}`)
    }
    for await (const piece of response) yield piece as Uint8Array
  }

  #request(
    url: string,
    options: { method: string; signal: AbortSignal; body?: string | undefined },
  ): ClientRequest {
    const request = url.startsWith('https:') ? requestTls : requestPlain
    return request(url, {
      method: options.method,
      ...(this.#certificate === undefined ? {} : { ca: this.#certificate }),
      headers: {
        authorization: `Bearer ${this.#token}`,
        ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      signal: options.signal,
    })
  }

  #send(method: string, url: string, body: string | undefined): Promise<ServerReply> {
    return new Promise((resolve, reject) => {
      const sending = this.#request(url, { method, body, signal: AbortSignal.timeout(PATIENCE_MS) })
      sending.once('error', reject)
      sending.once('response', (response) => {
        buffer(response).then(
          (bytes) => resolve({ status: response.statusCode ?? 0, text: textOf(new Uint8Array(bytes)) }),
          reject,
        )
      })
      sending.end(body)
    })
  }
}

/** The fault of an address that a token must not be sent to; null: none. */
export function urlFault(url: string): string | null {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    return `--url must be like https://fleet.example.com, not ${url}`
  const { protocol, hostname } = new URL(url)
  if (protocol === 'http:' && !/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname))
    return '--url must be https: the token would be readable on its way'
  return null
}

/** What a problem says; the beginning of anything else. */
function detailOf(text: string): string {
  try {
    const { detail } = JSON.parse(text) as { detail?: unknown }
    if (typeof detail === 'string') return detail
  } catch {
    // A proxy between may say anything.
  }
  return text.slice(0, 200)
}

async function fileOf(path: string, option: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new CliFailure(`${option} ${path}: ${error instanceof Error ? error.message : String(error)}`)
  }
}
