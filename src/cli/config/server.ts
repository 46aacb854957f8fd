/** The admin route as `npm run config` uses it. */

import { readFile } from 'node:fs/promises'
import { request as requestPlain } from 'node:http'
import { request as requestTls } from 'node:https'
import { buffer } from 'node:stream/consumers'

import { textOf } from '../../lib/bytes.ts'
import { CliFailure } from '../failure.ts'
import type { ServerAccess } from './options.ts'

/** The server gives itself 20 s. */
const PATIENCE_MS = 30_000

export interface ServerReply {
  status: number
  text: string
}

/** One environment's configuration on a server. */
export class ConfigurationServer {
  readonly #base: string
  readonly #token: string
  readonly #certificate: string | undefined

  private constructor(base: string, token: string, certificate: string | undefined) {
    this.#base = base
    this.#token = token
    this.#certificate = certificate
  }

  static async of({ url, env, tokenFile, ca }: ServerAccess): Promise<ConfigurationServer> {
    const token = (await fileOf(tokenFile, '--token-file')).trim()
    if (!/^[!-~]+$/.test(token)) throw new CliFailure(`${tokenFile} has no token in it.`)
    const certificate = ca === undefined ? undefined : await fileOf(ca, '--ca')
    const base = `${url}/api/v1/environments/${encodeURIComponent(env)}/configuration`
    return new ConfigurationServer(base, token, certificate)
  }

  /** Any status is a reply; throws where there is none. */
  async call(method: 'GET' | 'POST', path: string, body?: string): Promise<ServerReply> {
    try {
      return await this.#send(method, `${this.#base}${path}`, body)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw new CliFailure(`${new URL(this.#base).origin} does not answer: ${reason}`)
    }
  }

  #send(method: string, url: string, body: string | undefined): Promise<ServerReply> {
    const request = url.startsWith('https:') ? requestTls : requestPlain
    return new Promise((resolve, reject) => {
      const sending = request(url, {
        method,
        ...(this.#certificate === undefined ? {} : { ca: this.#certificate }),
        headers: {
          authorization: `Bearer ${this.#token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        signal: AbortSignal.timeout(PATIENCE_MS),
      })
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

async function fileOf(path: string, option: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new CliFailure(`${option} ${path}: ${error instanceof Error ? error.message : String(error)}`)
  }
}
