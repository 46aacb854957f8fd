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
    expect(problemOf(refused)).toEqual({ status: 422, pointers: ['/settings/url'] })
    expect(refused.json<Problem>().detail).toContain('answered 401')
    expect((await server.operator('GET', PATH)).json<{ items: unknown[] }>().items.length).toBe(
      before.json<{ items: unknown[] }>().items.length,
    )
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
    expect(problemOf(await server.operator('PATCH', `${PATH}/${id}`, wrong)).pointers).toEqual([
      '/settings/url',
    ])
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
