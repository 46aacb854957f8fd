/** The admin route as the walk uses it: replies are checked against the shapes that were promised. */

import type { z } from 'zod'

import { HttpsClient } from './https-client.ts'
import { WalkFailure } from './report.ts'
import { page } from './shapes.ts'

const ROOT_PATH = '/api/v1/environments/default'
// Small, so that a few hundred items come in several pages.
const PAGE_ITEMS = 100
const MAX_PAGES = 1_000

/** Everything below the environment `default`. */
export class OperatorApi {
  readonly #client: HttpsClient

  constructor(url: string, certificate: string, token: string) {
    this.#client = new HttpsClient(url, certificate, { Authorization: `Bearer ${token}` })
  }

  async get<Shape extends z.ZodType>(path: string, shape: Shape): Promise<z.infer<Shape>> {
    return checked(`GET ${path}`, shape, jsonOf(await this.bytes(path)))
  }

  async post<Shape extends z.ZodType>(path: string, body: unknown, shape: Shape): Promise<z.infer<Shape>> {
    return checked(`POST ${path}`, shape, jsonOf(await this.#reply('POST', path, 201, body)))
  }

  /** The body of a reply with status 200, as it came. */
  bytes(path: string): Promise<Uint8Array<ArrayBuffer>> {
    return this.#reply('GET', path, 200)
  }

  /** All items of a list, page by page, as `read` finds them in a page's bytes (by default: as JSON). */
  async all<Shape extends z.ZodType, Item = z.infer<Shape>>(
    path: string,
    shape: Shape,
    read: (items: z.infer<Shape>[], body: Uint8Array<ArrayBuffer>) => Item[] = (items) => items as Item[],
  ): Promise<Item[]> {
    const found: Item[] = []
    let cursor = ''
    for (let pages = 0; pages < MAX_PAGES; pages += 1) {
      const paged = `${path}${path.includes('?') ? '&' : '?'}limit=${PAGE_ITEMS}${cursor}`
      const body = await this.bytes(paged)
      const { items, nextCursor } = checked(`GET ${paged}`, page(shape), jsonOf(body))
      found.push(...read(items, body))
      if (nextCursor === null) return found
      cursor = `&cursor=${encodeURIComponent(nextCursor)}`
    }
    throw new WalkFailure(`GET ${path} goes on for more than ${MAX_PAGES} pages`)
  }

  async #reply(
    method: string,
    path: string,
    status: number,
    json?: unknown,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const reply = await this.#client.send(method, `${ROOT_PATH}${path}`, json)
    if (reply.status === status) return reply.body
    throw new WalkFailure(`${method} ${path} has status ${reply.status}: ${textOf(reply.body).slice(0, 300)}`)
  }
}

function checked<Shape extends z.ZodType>(what: string, shape: Shape, value: unknown): z.infer<Shape> {
  const parsed = shape.safeParse(value)
  if (parsed.success) return parsed.data
  const [first] = parsed.error.issues
  throw new WalkFailure(`${what} is not what was promised at ${first?.path.join('.')}: ${first?.message}`)
}

function jsonOf(body: Uint8Array): unknown {
  const text = textOf(body)
  try {
    return JSON.parse(text)
  } catch {
    throw new WalkFailure(`not JSON: ${text.slice(0, 300)}`)
  }
}

function textOf(body: Uint8Array): string {
  return new TextDecoder().decode(body)
}
