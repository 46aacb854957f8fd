import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer, STARTER_CONFIGURATION, type TestServer } from '../support/harness.ts'
import { created, enrollHost, makeEnvironment, problemOf } from '../support/operator.ts'

let server: TestServer
const PATH = '/environments/default/configuration'

beforeAll(async () => {
  server = await startServer()
  await makeEnvironment(server, 'other')
  await enrollHost(server, 'web-1')
  await enrollHost(server, 'web-2')
  await enrollHost(server, 'mac-1', { platform: 'darwin', platformType: '21' })
  created(
    await server.operator('POST', '/environments/default/tags', {
      targets: { hostnames: ['web-1'] },
      add: ['canary'],
    }),
    200,
  )
})
afterAll(() => server.close())

interface Layer {
  name: string
  match: object
  document: object
}

interface Applied {
  result: string
  version: number
  counts: Record<string, object>
  items: object[]
}

function plan(document: unknown, layers: readonly Layer[] = []) {
  return server.operator('POST', `${PATH}/plan`, { document, layers })
}

function apply(document: unknown, layers: readonly Layer[] = [], more: object = {}) {
  return server.operator('POST', `${PATH}/apply`, { document, layers, ...more })
}

async function newest(): Promise<number> {
  const { items } = (await server.operator('GET', `${PATH}/versions`)).json<{
    items: { version: number }[]
  }>()
  return items[0]?.version ?? 0
}

const starter = JSON.parse(STARTER_CONFIGURATION) as Record<string, unknown>
const wanted = {
  options: { distributed_interval: 20, verbose: true },
  packs: { it: { platform: 'linux', queries: { users: { query: 'SELECT * FROM users', interval: 60 } } } },
}
const canary = {
  name: 'canary',
  match: { tag: 'canary' },
  document: { packs: { it: { queries: { users: { interval: 30 } } } } },
}
const linux = { name: 'linux', match: { platform: 'linux' }, document: { views: { v: 'SELECT 1' } } }

describe('plan', () => {
  it('says what would change, by name, and changes nothing', async () => {
    const reply = created<Record<string, unknown>>(await plan(wanted), 200)
    expect(reply).toMatchObject({
      version: 1,
      result: 'created',
      counts: {
        option: { created: 1, updated: 1, unchanged: 0, deleted: 0 },
        query: { created: 1, updated: 0, unchanged: 0, deleted: 1 },
        pack: { created: 1, updated: 0, unchanged: 0, deleted: 0 },
        key: { created: 0, updated: 0, unchanged: 0, deleted: 0 },
        layer: { created: 0, updated: 0, unchanged: 0, deleted: 0 },
      },
      items: [
        { kind: 'option', name: 'distributed_interval', change: 'updated' },
        { kind: 'option', name: 'verbose', change: 'created' },
        { kind: 'pack', name: 'it', change: 'created' },
        { kind: 'query', pack: 'it', name: 'users', change: 'created' },
        { kind: 'query', pack: null, name: 'uptime', change: 'deleted' },
      ],
      truncated: false,
      nodes: 3,
      nodesChanged: 3,
    })
    expect(reply['changes']).toContainEqual({
      pointer: '/options/distributed_interval',
      change: 'changed',
      before: 10,
      after: 20,
    })
    expect(await newest()).toBe(1)
  })

  it('counts the nodes that each layer and each combination has now, and those that get another document', async () => {
    const few = { name: 'later', match: { tag: 'nobody-yet' }, document: { views: {} } }
    const reply = created<Record<string, unknown>>(
      await plan(starter, [linux, { ...canary, document: { schedule: null } }, few]),
      200,
    )
    expect(reply).toMatchObject({
      nodes: 3,
      nodesChanged: 2,
      layers: [
        { name: 'linux', nodes: 2 },
        { name: 'canary', nodes: 1 },
        { name: 'later', nodes: 0 },
      ],
    })
    const combinations = reply['combinations'] as { layers: string[] }[]
    const sorted = combinations.toSorted((a, b) => a.layers.length - b.layers.length)
    expect(sorted).toMatchObject([
      { layers: [], nodes: 1, nodesChanged: 0 },
      { layers: ['linux'], nodes: 1, nodesChanged: 1 },
      { layers: ['linux', 'canary'], nodes: 1, nodesChanged: 1 },
    ])
  })

  it('says of what is there already that nothing changes', async () => {
    expect(created(await plan(starter), 200)).toMatchObject({
      result: 'unchanged',
      items: [],
      changes: [],
      nodesChanged: 0,
    })
  })
})

describe('apply', () => {
  it('makes one version of documents, layers and message; again it is unchanged', async () => {
    const first = created<Applied>(await apply(wanted, [linux, canary], { message: 'as code' }), 200)
    expect(first).toMatchObject({ result: 'created', version: 2 })
    expect(first.counts['layer']).toEqual({ created: 2, updated: 0, unchanged: 0, deleted: 0 })
    const again = created<Applied>(await apply(wanted, [linux, canary], { message: 'once more' }), 200)
    expect(again).toMatchObject({ result: 'unchanged', version: 2, items: [] })
    expect(again.counts['query']).toEqual({ created: 0, updated: 0, unchanged: 1, deleted: 0 })
    const { items } = (await server.operator('GET', `${PATH}/versions`)).json<{ items: object[] }>()
    expect(items).toMatchObject([{ version: 2, message: 'as code' }, { version: 1 }])
    const audit = (await server.operator('GET', '/audit')).json<{ items: { action: string }[] }>()
    expect(audit.items.filter(({ action }) => action === 'configuration.put')).toHaveLength(1)
  })

  it('keeps numbers and the order of names as they were written', async () => {
    const text =
      '{"document":{"b":1.0e2,"10":{},"9":1},"layers":[{"name":"n","match":{"tag":"t"},"document":{"z": 1e2}}]}'
    created(await server.operator('POST', `${PATH}/apply`, text), 200)
    expect((await server.operator('GET', PATH)).text).toBe('{"b":1.0e2,"10":{},"9":1}')
    expect((await server.operator('GET', `${PATH}/layers`)).text).toContain('"document":{"z":1e2}')
  })

  it('takes layers away that it does not have, and counts a layer that changes places', async () => {
    created(await apply(wanted, [linux, canary]), 200)
    const swapped = created<Applied>(await apply(wanted, [canary, linux]), 200)
    expect(swapped.items).toEqual([
      { kind: 'layer', name: 'canary', change: 'updated' },
      { kind: 'layer', name: 'linux', change: 'updated' },
    ])
    const without = created<Applied>(await apply(wanted, []), 200)
    expect(without.counts['layer']).toEqual({ created: 0, updated: 0, unchanged: 0, deleted: 2 })
  })

  it('stores nothing over a version that was not expected', async () => {
    const version = await newest()
    expect(problemOf(await apply(starter, [], { expectedVersion: version - 1 }))).toEqual({
      status: 409,
      pointers: ['/expectedVersion'],
    })
    expect(await newest()).toBe(version)
    created(await apply(starter, [], { expectedVersion: version }), 200)
  })

  it('loses no change of operators who are at it at the same time', async () => {
    const before = await newest()
    const replies = await Promise.all(
      [1, 2, 3].map((n) =>
        server.operator('PUT', `${PATH}/layers/together-${n}`, {
          match: { platform: 'freebsd' },
          document: { [`x${n}`]: 1 },
        }),
      ),
    )
    const stored = replies.filter(({ status }) => status === 200)
    for (const reply of replies) if (reply.status !== 200) expect(reply.status).toBe(409)
    expect(await newest()).toBe(before + stored.length)
    const { items } = (await server.operator('GET', `${PATH}/layers`)).json<{ items: { name: string }[] }>()
    expect(items).toHaveLength(stored.length)
  })

  it.each<[string, unknown, number, string[]]>([
    ['no JSON', '{', 400, []],
    ['no layers', { document: {} }, 422, ['/layers']],
    ['an unknown member', { document: {}, layers: [], force: true }, 422, ['/force']],
    ['a document that is a list', { document: [], layers: [] }, 422, ['/document']],
    [
      'a layer without a match',
      { document: {}, layers: [{ name: 'a', document: {} }] },
      422,
      ['/layers/0/match'],
    ],
    ['a bad name', { document: {}, layers: [{ ...linux, name: 'A' }] }, 422, ['/layers/0/name']],
    ['a name twice', { document: {}, layers: [linux, linux] }, 422, ['/layers/1/name']],
    [
      'an unknown node set',
      { document: {}, layers: [{ ...linux, match: { nodeSet: 'none' } }] },
      422,
      ['/layers/0/match/nodeSet'],
    ],
    [
      'a name that agents reject',
      { document: { schedule: { my_counter: { query: 'SELECT 1' } } }, layers: [] },
      422,
      ['/schedule/my_counter'],
    ],
    [
      'a fault in a combination',
      { document: {}, layers: [{ ...linux, document: { schedule: { a: { query: '' } } } }] },
      422,
      ['/layers/linux/schedule/a/query'],
    ],
  ])('and plan refuse %s', async (_what, body, status, pointers) => {
    const version = await newest()
    expect(problemOf(await server.operator('POST', `${PATH}/plan`, body))).toEqual({ status, pointers })
    expect(problemOf(await server.operator('POST', `${PATH}/apply`, body))).toEqual({ status, pointers })
    expect(await newest()).toBe(version)
  })

  it('of one environment is not that of another', async () => {
    const { version } = created<{ version: number }>(
      await server.operator('POST', '/environments/other/configuration/plan', { document: {}, layers: [] }),
      200,
    )
    expect(version).toBe(1)
  })
})
