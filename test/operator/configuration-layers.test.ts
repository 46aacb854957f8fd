import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer, type TestServer } from '../support/harness.ts'
import { created, enrollHost, makeEnvironment, problemOf } from '../support/operator.ts'

let server: TestServer
const keys: Record<string, string> = {}
const PATH = '/environments/default/configuration'
const BASE =
  '{"options":{"distributed_interval":10},"schedule":{"uptime":{"query":"SELECT 1","interval":60}}}'

beforeAll(async () => {
  server = await startServer()
  await makeEnvironment(server, 'other')
  keys['web-1'] = await enrollHost(server, 'web-1')
  keys['web-2'] = await enrollHost(server, 'web-2')
  keys['mac-1'] = await enrollHost(server, 'mac-1', { platform: 'darwin', platformType: '21' })
  created(await server.operator('PUT', PATH, BASE), 200)
  created(
    await server.operator('POST', '/environments/default/tags', {
      targets: { hostnames: ['web-1'] },
      add: ['canary'],
    }),
    200,
  )
})
afterAll(() => server.close())

interface Stored {
  version: number
  live: boolean
}

function putLayer(name: string, body: unknown) {
  return server.operator('PUT', `${PATH}/layers/${name}`, body)
}

/** Waits until a node is served exactly this document. */
async function served(hostname: string, document: string): Promise<void> {
  let last = ''
  const found = server.until(async () => {
    last = (await server.agent('/api/osquery/config', { node_key: keys[hostname] })).text
    return last === document
  })
  await found.catch(() => expect(last).toBe(document))
}

const linux = BASE.replace('"interval":60', '"interval":30')

describe('layers', () => {
  it('reach the nodes that they are for, in their order, and nobody else', async () => {
    const stored = created<Stored>(
      await putLayer('linux', {
        match: { platform: 'linux' },
        document: { schedule: { uptime: { interval: 30 } } },
      }),
      200,
    )
    expect(stored).toMatchObject({ version: 3, live: true })
    created(
      await putLayer('canary', { match: { tag: 'canary' }, document: { schedule: { uptime: null } } }),
      200,
    )
    await served('web-1', '{"options":{"distributed_interval":10},"schedule":{}}')
    await served('web-2', linux)
    await served('mac-1', BASE)
  })

  it('are shown for a node: what it gets, and which layer decided what', async () => {
    const { items } = (await server.operator('GET', '/environments/default/nodes?q=web-1')).json<{
      items: { id: string }[]
    }>()
    const path = `/environments/default/nodes/${items[0]?.id}/configuration`
    expect((await server.operator('GET', path)).json()).toEqual({
      state: 'active',
      version: 4,
      layers: ['linux', 'canary'],
      origins: [{ pointer: '/schedule/uptime', layer: 'canary' }],
      untilRestart: [],
      paused: [],
      document: { options: { distributed_interval: 10 }, schedule: {} },
    })
    expect(problemOf(await server.operator('GET', path.replace('default', 'other'))).status).toBe(404)
  })

  it('reach a node that enrolls later, by its platform', async () => {
    keys['web-3'] = await enrollHost(server, 'web-3')
    await served('web-3', linux)
  })

  it('follow tags', async () => {
    const targets = { hostnames: ['web-2'] }
    created(await server.operator('POST', '/environments/default/tags', { targets, add: ['canary'] }), 200)
    await served('web-2', '{"options":{"distributed_interval":10},"schedule":{}}')
  })

  it('follow a saved node set', async () => {
    const { id } = created(
      await server.operator('POST', '/environments/default/node-sets', {
        name: 'few',
        targets: { hostnames: ['mac-1'] },
      }),
    )
    created(await putLayer('few', { match: { nodeSet: 'few' }, document: { views: {} } }), 200)
    await served('mac-1', BASE.replace(/}$/, ',"views":{}}'))
    const edit = { remove: { hostnames: ['mac-1'] }, add: { hostnames: ['web-3'] } }
    created(await server.operator('PATCH', `/environments/default/node-sets/${id}`, edit), 200)
    await served('mac-1', BASE)
    await served('web-3', linux.replace(/}$/, ',"views":{}}'))
    expect(problemOf(await server.operator('DELETE', `/environments/default/node-sets/${id}`)).status).toBe(
      409,
    )
  })

  it('are listed in order, keep numbers as they were written, and change places', async () => {
    const text = '{"match":{"platform":"darwin"},"position":0,"document":{"z":1.0e2}}'
    created(await putLayer('mac', text), 200)
    const listed = await server.operator('GET', `${PATH}/layers`)
    expect(listed.text).toContain('"document":{"z":1.0e2}')
    const { items } = listed.json<{ items: { name: string }[] }>()
    expect(items.map(({ name }) => name)).toEqual(['mac', 'linux', 'canary', 'few'])
  })

  it('belong to the version: going back brings them back', async () => {
    const { version } = created<Stored>(await server.operator('DELETE', `${PATH}/layers/canary`), 200)
    const names = async () =>
      (await server.operator('GET', `${PATH}/layers`))
        .json<{ items: { name: string }[] }>()
        .items.map(({ name }) => name)
    expect(await names()).toEqual(['mac', 'linux', 'few'])
    created(await server.operator('POST', `${PATH}/rollback`, { version: version - 1 }), 200)
    expect(await names()).toEqual(['mac', 'linux', 'canary', 'few'])
    const whole = await server.operator('GET', `${PATH}/versions/${version}`)
    expect(whole.json<{ layers: unknown[] }>().layers).toHaveLength(3)
    const changes = (await server.operator('GET', `${PATH}/versions/${version}/changes`)).json<{
      changes: { pointer: string; change: string }[]
    }>().changes
    expect(changes.map(({ pointer, change }) => [pointer, change])).toEqual([
      ['/layers/few/position', 'changed'],
      ['/layers/canary', 'removed'],
    ])
  })

  it('stay when the base changes', async () => {
    created(await server.operator('PUT', PATH, BASE.replace('60', '90')), 200)
    const { items } = (await server.operator('GET', `${PATH}/layers`)).json<{ items: unknown[] }>()
    expect(items).toHaveLength(4)
  })

  it.each<[string, unknown, number, string[]]>([
    ['Linux', { match: { tag: 'a' }, document: {} }, 422, ['name']],
    ['a', '{', 400, []],
    ['a', { match: { tag: 'a' } }, 422, ['/document']],
    ['a', { match: { tag: 'a', platform: 'linux' }, document: {} }, 422, ['/match']],
    ['a', { match: { platform: 'ubuntu' }, document: {} }, 422, ['/match']],
    ['a', { match: { nodeSet: 'none' }, document: {} }, 422, ['/match/nodeSet']],
    ['a', { match: { tag: 'a' }, document: [] }, 422, ['/document']],
    ['a', { match: { tag: 'a' }, position: -1, document: {} }, 422, ['/position']],
    [
      'a',
      { match: { tag: 'a' }, document: { schedule: { x: { query: 'SELECT 1', interval: 0 } } } },
      422,
      ['/layers/a/schedule/x/interval'],
    ],
    // Merged, only the last one would be left.
    ['a', '{"match":{"tag":"a"},"document":{"x":{"y":1,"y":2}}}', 422, ['/layers/a/x/y']],
  ])('%s of %j is refused', async (name, body, status, pointers) => {
    expect(problemOf(await putLayer(name, body))).toEqual({ status, pointers })
  })

  it('of a node set that is gone come back with their version, and a warning that they are for nobody', async () => {
    const targets = { hostnames: ['web-1'] }
    const set = created<{ id: string }>(
      await server.operator('POST', '/environments/default/node-sets', { name: 'gone', targets }),
    )
    const body = { match: { nodeSet: 'gone' }, document: { x: 1 } }
    const { version } = created<Stored>(await putLayer('sets', body), 200)
    created(await server.operator('DELETE', `${PATH}/layers/sets`), 200)
    expect((await server.operator('DELETE', `/environments/default/node-sets/${set.id}`)).status).toBe(204)
    const back = await server.operator('POST', `${PATH}/rollback`, { version })
    expect(created<{ warnings: { pointer: string }[] }>(back, 200).warnings).toContainEqual({
      pointer: '/layers/sets/match/nodeSet',
      detail: 'there is no node set gone any more: no node gets this layer',
    })
    created(await server.operator('DELETE', `${PATH}/layers/sets`), 200)
  })

  it('are no more than combinations can be compiled', async () => {
    const put = async (name: string) => putLayer(name, { match: { tag: name }, document: { x: 1 } })
    created(await put('t1'), 200)
    created(await put('t2'), 200)
    expect(problemOf(await put('t3'))).toEqual({ status: 422, pointers: ['/layers'] })
  })

  it('of one environment are not those of another', async () => {
    const other = (await server.operator('GET', '/environments/other/configuration/layers')).json<{
      items: []
    }>()
    expect(other.items).toEqual([])
    expect((await server.operator('DELETE', '/environments/other/configuration/layers/linux')).status).toBe(
      404,
    )
  })
})
