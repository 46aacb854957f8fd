import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { tellWebhooks } from '../../src/queries/webhooks.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { created, enrollHost, problemOf } from '../support/operator.ts'
import { startDestination, type Destination } from '../support/sinks/destination.ts'

let server: TestServer
let destination: Destination
const QUERIES = '/environments/default/queries'
const HMAC_KEY = 'a key of webhooks for tests'
const MINUTE_MS = 60_000

beforeAll(async () => {
  server = await startServer()
  await enrollHost(server, 'web-1')
  destination = await startDestination(
    () => ({ maxBodyBytes: 100_000, tooLarge: { status: 413 } }),
    () => ({ status: 204 }),
  )
})
afterAll(async () => {
  await destination.close()
  await server.close()
})

interface Query {
  id: string
  webhook: { url: string; attempts: number; deliveredAt: string | null; error: string | null }
}

async function opened(path: string): Promise<Query> {
  const webhook = { url: `${destination.url}${path}`, hmacKey: HMAC_KEY }
  const body = { sql: 'SELECT 1', targets: { all: true }, label: 'who', webhook }
  return created<Query>(await server.operator('POST', QUERIES, body))
}

async function webhookOf(id: string): Promise<Query['webhook']> {
  return (await server.operator('GET', `${QUERIES}/${id}`)).json<Query>().webhook
}

const sentTo = (path: string) => destination.requests.filter(({ url }) => url.pathname === path)

describe('a webhook', () => {
  it('is told once, when the query is over: signed, with counts and links', async () => {
    const { id } = await opened('/once')
    await tellWebhooks(server.env, Date.now())
    expect(sentTo('/once')).toEqual([])
    created(await server.operator('POST', `${QUERIES}/${id}/stop`), 200)
    await tellWebhooks(server.env, Date.now())
    await tellWebhooks(server.env, Date.now() + 60 * MINUTE_MS)
    const [request, another] = sentTo('/once')
    expect(another).toBeUndefined()
    const text = request?.body.toString() ?? ''
    const told = JSON.parse(text) as { query: unknown; links: { query: string } }
    expect(told.query).toMatchObject({
      id,
      label: 'who',
      status: 'stopped',
      counts: { targeted: 1, answered: 0, pending: 1 },
    })
    expect(told.links.query).toMatch(
      new RegExp(`^https?://.+/api/v1/environments/[0-9a-f-]{36}/queries/${id}$`),
    )
    const { headers } = request ?? { headers: {} as Record<string, string> }
    const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${text}`
    const signature = createHmac('sha256', HMAC_KEY).update(signed).digest('base64')
    expect(headers['webhook-signature']).toBe(`v1,${signature}`)
    expect(headers['idempotency-key']).toBe(id)
    expect(await webhookOf(id)).toMatchObject({
      attempts: 1,
      deliveredAt: expect.stringMatching(/Z$/) as string,
      error: null,
    })
  })

  it('is told again after a failure, later each time, and delays no other', async () => {
    const { id } = await opened('/again')
    const { id: other } = await opened('/other')
    for (const one of [id, other]) created(await server.operator('POST', `${QUERIES}/${one}/stop`), 200)
    destination.failures.push({ status: 503 }, { status: 503 })
    const startedAtMs = Date.now()
    await tellWebhooks(server.env, startedAtMs)
    expect(await webhookOf(id)).toMatchObject({ attempts: 1, deliveredAt: null, error: 'answered 503' })
    await tellWebhooks(server.env, startedAtMs + MINUTE_MS / 2)
    expect(sentTo('/again')).toHaveLength(1)
    await tellWebhooks(server.env, startedAtMs + MINUTE_MS)
    expect(await webhookOf(id)).toMatchObject({ attempts: 2, error: null })
    expect((await webhookOf(other)).error).toBeNull()
  })

  it('is given up at last', async () => {
    const { id } = await opened('/never')
    created(await server.operator('POST', `${QUERIES}/${id}/stop`), 200)
    let atMs = Date.now()
    for (let attempt = 1; attempt <= 12; attempt += 1) {
      destination.failures.push({ status: 500 })
      await tellWebhooks(server.env, atMs)
      atMs += 1_440 * MINUTE_MS
    }
    destination.failures.length = 0
    expect(await webhookOf(id)).toMatchObject({ attempts: 11, deliveredAt: null, error: 'answered 500' })
  })

  it('shows no key, neither here nor in the audit', async () => {
    const { id } = await opened('/secret')
    const shown = await Promise.all(
      [`${QUERIES}/${id}`, '/environments/default/audit', '/audit'].map((path) =>
        server.operator('GET', path),
      ),
    )
    expect(shown.some(({ text }) => text.includes(HMAC_KEY))).toBe(false)
  })

  it.each([
    [{ url: 'nowhere' }, '/webhook/url'],
    [{ url: 'https://10.0.0.1/' }, '/webhook/url'],
    [{ url: 'http://example.com/' }, '/webhook/url'],
    [{ url: 'https://example.com/', hmacKey: 'short' }, '/webhook/hmacKey'],
    [{}, '/webhook/url'],
  ])('to %j is refused', async (webhook, pointer) => {
    const body = { sql: 'SELECT 1', targets: { all: true }, webhook }
    expect(problemOf(await server.operator('POST', QUERIES, body))).toEqual({
      status: 422,
      pointers: [pointer],
    })
  })
})
