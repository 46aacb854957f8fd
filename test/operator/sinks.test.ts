/** /environments/{env}/sinks: what is refused, what is kept secret, what is told. */

import '../support/workerd-crypto.ts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer, type TestServer } from '../support/harness.ts'
import { created, makeEnvironment, problemOf, type Problem } from '../support/operator.ts'
import { startHttpsServer, type HttpsServer } from '../support/sinks/https.ts'

const TOKEN = 'a-bearer-token-that-nobody-sees'

let server: TestServer
let destination: HttpsServer
beforeAll(async () => {
  server = await startServer()
  destination = await startHttpsServer()
  destination.bearerToken = TOKEN
})
afterAll(async () => {
  await destination.close()
  await server.close()
})

interface Sink {
  id: string
  revision: number
  secretNames: string[]
  endpoint: string | null
  settings: Record<string, unknown>
}

const PATH = '/environments/default/sinks'

let names = 0
function body(more: Record<string, unknown> = {}) {
  names += 1
  return {
    name: `sink ${names}`,
    kind: 'https',
    settings: { url: destination.url },
    secrets: { bearerToken: TOKEN },
    ...more,
  }
}

function post(more: Record<string, unknown>, query = '') {
  return server.operator('POST', `${PATH}${query}`, body(more))
}

async function makeSink(more: Record<string, unknown> = {}): Promise<Sink> {
  return created<Sink>(await post(more))
}

describe('making one', () => {
  it('sends a test line, which says what it is', async () => {
    destination.batches.length = 0
    const sink = await makeSink({ name: 'told' })
    expect(destination.batches).toHaveLength(1)
    expect(destination.batches[0]?.lines).toMatchObject([
      { type: 'status', line: { message: 'osquery-edge: test delivery to the sink told' } },
    ])
    expect(sink).toMatchObject({ name: 'told', kind: 'https', live: true, paused: false, revision: 1 })
  })

  it.each([
    ['/settings/url', { settings: { url: 'https://192.168.0.1/' } }],
    ['/settings/url', { settings: { url: 'https://splunk.internal/' } }],
    ['/settings/url', { settings: { url: 'not a url' } }],
    ['/settings/url', { settings: { url: 'http://example.com/' } }],
    ['/settings/url', { settings: {} }],
    ['/settings/colour', { settings: { url: 'https://example.com/', colour: 'red' } }],
    ['/settings/format', { settings: { url: 'https://example.com/', format: 'xml' } }],
    ['/secrets/hmacKey', { secrets: { hmacKey: 'short' } }],
    ['/secrets/headers/Content-Type', { secrets: { headers: { 'Content-Type': 'x' } } }],
    ['/kind', { kind: 'carrier-pigeon' }],
    ['/name', { name: ' ' }],
    ['/filter/types/0', { filter: { types: ['everything'] } }],
    ['/filter/queries', { filter: { queries: [] } }],
    ['/filter/minSeverity', { filter: { minSeverity: 'loud' } }],
    ['/delivery/concurrency', { delivery: { concurrency: 7 } }],
    ['/delivery/maxBytes', { delivery: { maxBytes: 8 * 1_024 * 1_024, concurrency: 3 } }],
    ['/delivery/linesPerSecond', { delivery: { linesPerSecond: 0 } }],
    ['/secrets', { kind: 'elasticsearch', secrets: {} }],
  ])('names %s where that is wrong: %j', async (pointer, more) => {
    const refused = problemOf(await post(more))
    expect(refused).toEqual({ status: 422, pointers: [pointer] })
  })

  it('saves nothing where the test delivery fails, and says why', async () => {
    const before = await server.operator('GET', PATH)
    const refused = await post({ secrets: { bearerToken: 'wrong' } })
    expect(problemOf(refused)).toEqual({ status: 422, pointers: ['/secrets'] })
    expect(refused.json<Problem>().detail).toContain('answered 401')
    expect((await server.operator('GET', PATH)).json<{ items: unknown[] }>().items.length).toBe(
      before.json<{ items: unknown[] }>().items.length,
    )
  })

  it.each([
    ['/secrets', { secrets: { bearerToken: 'wrong' } }],
    ['/settings/url', { secrets: {} }],
    ['/secrets/url', () => ({ settings: {}, secrets: { url: destination.url } })],
  ])('points at %s where the destination knows nobody by it', async (pointer, more) => {
    const refused = await post(typeof more === 'function' ? more() : more)
    expect(problemOf(refused)).toEqual({ status: 422, pointers: [pointer] })
    expect(refused.json<Problem>().detail).toContain('answered 401')
  })

  it.each([
    ['Content-Type', 'is a header that is set already'],
    ['a b', 'is no name of a header'],
  ])('says the rule for the name of a header: %s', async (name, rule) => {
    const refused = await post({ secrets: { headers: { [name]: 'x' } } })
    expect(refused.json<Problem>().detail).toBe(`/secrets/headers/${name}: ${rule}`)
  })

  it("says what Cloudflare's own status means: the connection was refused", async () => {
    destination.failures.push({ status: 521 })
    const refused = await post({})
    expect(problemOf(refused)).toEqual({ status: 422, pointers: ['/settings/url'] })
    expect(refused.json<Problem>().detail).toContain('answered 521: the connection was refused')
  })

  it('skips the test where told to, but not the rules for addresses', async () => {
    const closed = { settings: { url: 'http://127.0.0.1:9/' } }
    expect((await post(closed, '?skipTest=true')).status).toBe(201)
    expect((await post({ settings: { url: 'https://10.0.0.1/' } }, '?skipTest=true')).status).toBe(422)
    expect(problemOf(await post(closed)).pointers).toEqual(['/settings/url'])
  })

  it('refuses a name that is taken', async () => {
    await makeSink({ name: 'twice' })
    expect(problemOf(await post({ name: 'twice' }))).toEqual({ status: 409, pointers: ['/name'] })
  })
})

describe('secrets', () => {
  it('are in no reply, no audit row, and not readable in the database', async () => {
    const { id } = await makeSink()
    const replies = await Promise.all([
      server.operator('GET', PATH),
      server.operator('GET', `${PATH}/${id}`),
      server.operator('GET', '/audit'),
    ])
    for (const reply of replies) expect(reply.text).not.toContain(TOKEN)
    const row = await server.env.DB.prepare('SELECT * FROM sinks WHERE id = ?').bind(id).first()
    expect(JSON.stringify(row)).not.toContain(TOKEN)
    expect(row?.['secrets']).toMatch(/^oes1\.1\./)
  })

  it('stay when others are changed, and are to be written again for another origin', async () => {
    const { id } = await makeSink({ secrets: { bearerToken: TOKEN, hmacKey: 'sixteen characters' } })
    const changed = await server.operator('PATCH', `${PATH}/${id}`, { secrets: { hmacKey: null } })
    expect(created<Sink>(changed, 200).secretNames).toEqual(['bearerToken'])
    const moved = { settings: { url: destination.url.replace('127.0.0.1', 'localhost') } }
    expect(problemOf(await server.operator('PATCH', `${PATH}/${id}`, moved))).toEqual({
      status: 422,
      pointers: ['/secrets'],
    })
    const path = { settings: { url: `${destination.url}/elsewhere` } }
    expect((await server.operator('PATCH', `${PATH}/${id}`, path)).status).toBe(200)
  })
})

describe('a URL that is a credential', () => {
  const PATH_TOKEN = 'path-token-nobody-sees'
  const QUERY_TOKEN = 'query-token-nobody-sees'
  const sealedUrl = (origin = destination.url) => `${origin}/in/${PATH_TOKEN}?key=${QUERY_TOKEN}`
  const sealed = (more: Record<string, unknown> = {}) => ({
    settings: {},
    secrets: { url: sealedUrl(), bearerToken: TOKEN, ...more },
  })
  const localhost = () => destination.url.replace('127.0.0.1', 'localhost')

  function expectHidden(text: string): void {
    expect(text).not.toContain(PATH_TOKEN)
    expect(text).not.toContain(QUERY_TOKEN)
  }

  it('is written as a secret: lines get there, and only its origin is shown', async () => {
    destination.requests.length = 0
    const sink = await makeSink(sealed())
    const [asked] = destination.requests
    expect(`${asked?.url.pathname}${asked?.url.search}`).toBe(`/in/${PATH_TOKEN}?key=${QUERY_TOKEN}`)
    expect(sink).toMatchObject({ endpoint: destination.url, secretNames: ['url', 'bearerToken'] })
    expect(sink.settings).not.toHaveProperty('url')
    const row = await server.env.DB.prepare('SELECT * FROM sinks WHERE id = ?').bind(sink.id).first()
    expectHidden(JSON.stringify(row))
    for (const path of [PATH, `${PATH}/${sink.id}`, '/audit']) {
      expectHidden((await server.operator('GET', path)).text)
    }
    const audit = await server.operator('GET', '/audit?limit=1')
    expect(audit.text).toContain(`"endpoint":"${destination.url}"`)
  })

  it.each(['reset', { status: 503 }, { status: 307, headers: { location: '/elsewhere?x' } }] as const)(
    'is in no reason of a failure: %j',
    async (failure) => {
      const { id } = await makeSink(sealed())
      destination.failures.push(failure)
      const reply = await server.operator('POST', `${PATH}/${id}/test`)
      expect(reply.status).toBe(200)
      expectHidden(reply.text)
    },
  )

  it.each([
    ['/secrets/url', { settings: {}, secrets: { url: 'https://10.0.0.1/in/token' } }],
    ['/secrets/url', { settings: {}, secrets: { url: 'https://user:pass@example.com/' } }],
    ['/secrets/url', { settings: {}, secrets: { url: 'not a url' } }],
    ['/secrets/url', { settings: {}, secrets: { url: `https://example.com/${'x'.repeat(2_048)}` } }],
    ['/secrets/url', { settings: {}, secrets: { url: 'http://127.0.0.1:9/' } }],
    ['/secrets/url', { secrets: { url: 'https://example.com/' } }],
    ['/settings/url', { settings: {}, secrets: {} }],
  ])('names %s where that is wrong: %j', async (pointer, more) => {
    expect(problemOf(await post(more))).toEqual({ status: 422, pointers: [pointer] })
  })

  it('takes the place of one that is shown, and the reverse', async () => {
    const { id } = await makeSink()
    const change = (patch: unknown) => server.operator('PATCH', `${PATH}/${id}`, patch)
    expect(problemOf(await change({ secrets: { url: sealedUrl() } })).pointers).toEqual(['/secrets/url'])
    const hidden = created<Sink>(
      await change({ settings: { url: null }, secrets: { url: sealedUrl() } }),
      200,
    )
    expect(hidden.settings).not.toHaveProperty('url')
    expect(hidden.secretNames.toSorted()).toEqual(['bearerToken', 'url'])
    const shown = await change({ settings: { url: destination.url }, secrets: { url: null } })
    expect(created<Sink>(shown, 200)).toMatchObject({
      settings: { url: destination.url },
      secretNames: ['bearerToken'],
    })
  })

  it('at another origin wants the other secrets again, which it never carries there', async () => {
    const { id } = await makeSink(sealed())
    const change = (patch: unknown) => server.operator('PATCH', `${PATH}/${id}`, patch)
    const url = sealedUrl(localhost())
    destination.requests.length = 0
    for (const patch of [{ secrets: { url } }, { settings: { url: localhost() }, secrets: { url: null } }]) {
      expect(problemOf(await change(patch))).toEqual({ status: 422, pointers: ['/secrets'] })
    }
    expect(destination.requests).toEqual([])
    const moved = await change({ secrets: { url, bearerToken: TOKEN } })
    expect(created<Sink>(moved, 200).endpoint).toBe(localhost())
  })

  it('keeps its secrets within its origin', async () => {
    const { id } = await makeSink(sealed())
    const url = `${destination.url}/in/another`
    const changed = await server.operator('PATCH', `${PATH}/${id}`, { secrets: { url } })
    expect(created<Sink>(changed, 200).secretNames).toEqual(['url', 'bearerToken'])
  })
})

describe('changing one', () => {
  it('keeps what is not named, and tests what decides whether lines get there', async () => {
    const { id } = await makeSink({ filter: { types: ['status'] }, delivery: { maxLines: 5 } })
    destination.batches.length = 0
    const renamed = await server.operator('PATCH', `${PATH}/${id}`, {
      name: 'renamed',
      delivery: { maxAgeSeconds: 2 },
    })
    expect(renamed.json()).toMatchObject({
      name: 'renamed',
      revision: 2,
      live: true,
      filter: { types: ['status'], queries: null },
      delivery: { maxLines: 5, maxAgeSeconds: 2, concurrency: 1 },
    })
    expect(destination.batches).toHaveLength(0)
    const wrong = { secrets: { bearerToken: 'wrong' } }
    expect(problemOf(await server.operator('PATCH', `${PATH}/${id}`, wrong)).pointers).toEqual(['/secrets'])
    expect((await server.operator('POST', `${PATH}/${id}/test`)).json()).toEqual({
      delivered: true,
      reason: null,
    })
    expect(destination.batches).toHaveLength(1)
  })

  it.each([
    ['/settings/format', { settings: { format: 'xml' } }],
    ['/settings/url', { settings: { url: null } }],
    ['/secrets/bearer', { secrets: { bearer: 'x' } }],
    ['/kind', { kind: 's3' }],
    ['/delivery/maxBytes', { delivery: { maxBytes: 8 * 1_024 * 1_024, concurrency: 6 } }],
  ])('names %s where that is wrong: %j', async (pointer, patch) => {
    const { id } = await makeSink()
    expect(problemOf(await server.operator('PATCH', `${PATH}/${id}`, patch))).toEqual({
      status: 422,
      pointers: [pointer],
    })
  })

  it('is in the audit', async () => {
    const { id } = await makeSink()
    await server.operator('POST', `${PATH}/${id}/pause`)
    await server.operator('DELETE', `${PATH}/${id}`)
    const { items } = (await server.operator('GET', '/audit?limit=3')).json<{
      items: { action: string; subject: string }[]
    }>()
    expect(items.map(({ action }) => action)).toEqual(['sink.delete', 'sink.pause', 'sink.create'])
    expect(items.every(({ subject }) => subject === id)).toBe(true)
  })
})

describe('another environment', () => {
  it('has no such sink', async () => {
    const { id } = await makeSink()
    await makeEnvironment(server, 'other')
    const other = `/environments/other/sinks/${id}`
    const calls: [string, string, unknown?][] = [
      ['GET', other],
      ['PATCH', other, { name: 'x' }],
      ['DELETE', other],
      ['POST', `${other}/pause`],
      ['POST', `${other}/resume`],
      ['POST', `${other}/test`],
      ['POST', `${other}/replay`, { since: '2026-01-01T00:00:00Z' }],
      ['GET', `${other}/replays`],
      ['GET', `${other}/quarantine`],
      ['DELETE', `${other}/quarantine`],
      ['POST', `${other}/quarantine/replay`, {}],
    ]
    for (const [method, path, sent] of calls) {
      expect([path, (await server.operator(method, path, sent)).status]).toEqual([path, 404])
    }
    expect((await server.operator('GET', `${PATH}/${id}`)).status).toBe(200)
  })
})

describe('a replay', () => {
  it.each([
    ['/since', {}],
    ['/since', { since: 'yesterday' }],
    ['/until', { since: '2026-01-02T00:00:00Z', until: '2026-01-01T00:00:00Z' }],
    ['/filter/tags', { since: '2026-01-02T00:00:00Z', filter: { tags: [] } }],
    ['/speed', { since: '2026-01-02T00:00:00Z', speed: 'fast' }],
  ])('names %s where that is wrong: %j', async (pointer, sent) => {
    const { id } = await makeSink()
    const refused = await server.operator('POST', `${PATH}/${id}/replay`, sent)
    expect(problemOf(refused)).toEqual({ status: 422, pointers: [pointer] })
  })
})
