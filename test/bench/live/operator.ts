/** The admin route as far as the benchmark needs it. */

import { Agent, request } from 'undici'
import { OPERATOR_TOKEN, type BenchServer } from '../server.ts'

const HEADERS = { authorization: `Bearer ${OPERATOR_TOKEN}`, 'content-type': 'application/json' }

export interface QueryView {
  id: string
  status: string
  counts: { targeted: number; answered: number; pending: number }
}

/** An operator of one environment. */
export class Operator {
  readonly #server: BenchServer
  readonly #environment: string
  #agent = newAgent()
  #base: URL | null = null

  constructor(server: BenchServer, environment: string) {
    this.#server = server
    this.#environment = environment
  }

  /** Ends all connections; the next call makes new ones, to wherever the server is by then. */
  breakOff(): void {
    void this.#agent.destroy()
    this.#agent = newAgent()
    this.#base = null
  }

  /** The body of a reply as it comes. Throws where the status is no success. `path` is below the environment. */
  async open(
    path: string,
    method: 'GET' | 'POST' = 'GET',
    body?: unknown,
  ): Promise<AsyncIterable<Uint8Array>> {
    this.#base ??= await this.#server.url()
    const reply = await request(new URL(`/api/v1/environments/${this.#environment}${path}`, this.#base), {
      method,
      headers: HEADERS,
      dispatcher: this.#agent,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (reply.statusCode >= 300)
      throw new Error(`${method} ${path}: ${reply.statusCode} ${await reply.body.text()}`)
    return reply.body as AsyncIterable<Uint8Array>
  }

  async get<T>(path: string): Promise<T> {
    return JSON.parse(await textOf(await this.open(path))) as T
  }

  async post<T>(path: string, body?: unknown): Promise<T> {
    return JSON.parse(await textOf(await this.open(path, 'POST', body ?? {}))) as T
  }

  /** Opens a query for these targets. */
  openQuery(targets: unknown, expiresInSeconds = 3_600, note = ''): Promise<QueryView> {
    const sql = `SELECT host, k, name, state FROM processes${note === '' ? '' : ` -- ${note}`}`
    return this.post('/queries', { sql, targets, expiresInSeconds })
  }

  query(id: string): Promise<QueryView> {
    return this.get(`/queries/${id}`)
  }
}

/** Makes an environment; an operator of it, and its UUID. */
export async function makeEnvironment(
  server: BenchServer,
  name: string,
): Promise<{ id: string; operator: Operator }> {
  const reply = await fetch(new URL('/api/v1/environments', await server.url()), {
    method: 'POST',
    headers: HEADERS,
    body: JSON.stringify({ name }),
  })
  const text = await reply.text()
  if (reply.status !== 201) throw new Error(`no environment: ${reply.status} ${text}`)
  return { id: (JSON.parse(text) as { id: string }).id, operator: new Operator(server, name) }
}

export async function* linesOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const bytes of body) {
    const pieces = (rest + decoder.decode(bytes, { stream: true })).split('\n')
    rest = pieces.pop() ?? ''
    yield* pieces
  }
  if (rest !== '') yield rest
}

async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const pieces: Uint8Array[] = []
  for await (const bytes of body) pieces.push(bytes)
  return Buffer.concat(pieces).toString()
}

/** A stream says something each 15 s, and an export may take its time. */
function newAgent(): Agent {
  return new Agent({ bodyTimeout: 120_000, headersTimeout: 120_000 })
}
