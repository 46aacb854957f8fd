import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer, type TestServer } from '../support/harness.ts'
import { allPages, created, enrollHost, makeEnvironment, problemOf } from '../support/operator.ts'

let server: TestServer
const MAC_UUID = '564D0B52-1B4A-4C6E-9D39-0A1B2C3D4E5F'
const ENVIRONMENT = '/environments/default'

beforeAll(async () => {
  server = await startServer()
  for (const host of ['web-1', 'web-2', 'db-1']) await enrollHost(server, host)
  await enrollHost(server, 'mac-1', { platform: 'darwin', platformType: '21', uuid: MAC_UUID })
  const other = await makeEnvironment(server, 'other')
  await enrollHost(server, 'alien', { secret: other.secret })
  created(
    await server.operator('POST', `${ENVIRONMENT}/tags`, {
      targets: { hostnames: ['web-1', 'web-2'] },
      add: ['web', 'old'],
    }),
    200,
  )
  created(
    await server.operator('POST', `${ENVIRONMENT}/node-sets`, {
      name: 'canaries',
      targets: { hostnames: ['web-1', 'mac-1'] },
    }),
  )
})
afterAll(() => server.close())

interface Preview {
  nodes: number
  online: number
  platforms: Record<string, number>
}

function preview(targets: unknown) {
  return server.operator('POST', `${ENVIRONMENT}/queries/preview`, { targets })
}

async function count(targets: unknown): Promise<number> {
  return created<Preview>(await preview(targets), 200).nodes
}

describe('a preview of targets', () => {
  it('says how many nodes, how many online, and of which platforms', async () => {
    expect(created(await preview({ all: true }), 200)).toEqual({
      nodes: 4,
      online: 4,
      platforms: { ubuntu: 3, darwin: 1 },
    })
  })

  it.each<[unknown, number]>([
    [{ serials: ['sn-WEB-1', 'SN-db-1'] }, 2],
    [{ uuids: [MAC_UUID.toLowerCase()] }, 1],
    [{ osqueryVersion: '>=5.23' }, 4],
    [{ osqueryVersion: '<5' }, 0],
    [{ online: true }, 4],
    [{ online: false }, 0],
    [{ percent: 100 }, 4],
    [{ nodeSet: 'canaries' }, 2],
    [{ not: { tags: ['web'] } }, 2],
    [{ anyOf: [{ tags: ['web'] }, { platforms: ['darwin'] }] }, 3],
    [{ allOf: [{ tags: ['web'] }, { nodeSet: 'canaries' }] }, 1],
    [{ allOf: [{ platforms: ['linux'] }, { not: { hostnames: ['db-1'] } }] }, 2],
    [{ not: { not: { all: true } } }, 4],
  ])('%j means %d', async (targets, nodes) => {
    expect(await count(targets)).toBe(nodes)
  })

  it('makes shares that add up', async () => {
    expect((await count({ percent: 40 })) + (await count({ not: { percent: 40 } }))).toBe(4)
  })

  it.each<[unknown, string[]]>([
    [{ tags: ['wbe'] }, ['/targets/tags/0']],
    [{ not: { tags: ['wbe'] } }, ['/targets/not/tags/0']],
    [{ hostnames: ['alien'] }, ['/targets/hostnames/0']],
    [{ nodeSet: 'canary' }, ['/targets/nodeSet']],
    [
      { anyOf: [{ serials: ['SN-web-1', 'SN-none'] }, { allOf: [{ all: true }, { uuids: ['none'] }] }] },
      ['/targets/anyOf/0/serials/1', '/targets/anyOf/1/allOf/1/uuids/0'],
    ],
    [{ anyOf: [{ percent: 'all' }] }, ['/targets/anyOf/0/percent']],
  ])('names what is unknown in %j', async (targets, pointers) => {
    expect(problemOf(await preview(targets))).toEqual({ status: 422, pointers })
  })

  it('is the only one that takes no node for an answer', async () => {
    const targets = { osqueryVersion: '<5' }
    const reply = await server.operator('POST', `${ENVIRONMENT}/queries`, { sql: 'SELECT 1', targets })
    expect(problemOf(reply)).toEqual({ status: 422, pointers: ['/targets'] })
  })
})

describe('tags in bulk', () => {
  it('are added and removed for all that the targets mean', async () => {
    const change = { targets: { tags: ['web'] }, add: ['blue', 'web'], remove: ['old'] }
    expect(
      created<{ nodes: number }>(await server.operator('POST', `${ENVIRONMENT}/tags`, change), 200),
    ).toEqual({
      nodes: 2,
      changed: 2,
      revision: expect.any(Number) as number,
      live: true,
    })
    expect((await server.operator('GET', `${ENVIRONMENT}/tags`)).json()).toEqual({
      items: [
        { tag: 'blue', nodes: 2 },
        { tag: 'web', nodes: 2 },
      ],
    })
  })

  it('count the nodes that are changed; what changes nothing is no change', async () => {
    const change = (body: object) => server.operator('POST', `${ENVIRONMENT}/tags`, body)
    const one = { targets: { hostnames: ['web-1'] }, add: ['one'] }
    expect(created(await change(one), 200)).toMatchObject({ nodes: 1, changed: 1 })
    const web = { targets: { tags: ['web'] }, add: ['one'] }
    const added = created<{ revision: number }>(await change(web), 200)
    expect(added).toMatchObject({ nodes: 2, changed: 1 })
    expect(created(await change(web), 200)).toMatchObject({ nodes: 2, changed: 0, revision: added.revision })
    expect(created(await change({ targets: { all: true }, remove: ['never'] }), 200)).toMatchObject({
      changed: 0,
    })
    expect(created(await change({ targets: { all: true }, remove: ['one'] }), 200)).toMatchObject({
      changed: 2,
    })
  })

  it.each<[unknown, string[]]>([
    [{ targets: { all: true } }, ['']],
    [{ targets: { all: true }, add: ['a b'] }, ['/add/0']],
    [{ targets: { all: true }, add: ['a'], remove: ['a'] }, ['/remove']],
    [{ targets: { tags: ['none'] }, add: ['a'] }, ['/targets/tags/0']],
    [
      { targets: { hostnames: ['web-1'] }, add: Array.from({ length: 49 }, (_, index) => `t${index}`) },
      ['/add'],
    ],
  ])('refuses %j', async (body, pointers) => {
    expect(problemOf(await server.operator('POST', `${ENVIRONMENT}/tags`, body))).toEqual({
      status: 422,
      pointers,
    })
  })
})

interface SavedSet {
  id: string
  name: string
  nodes: number
}

describe('a saved node set', () => {
  it('keeps the nodes that its targets meant, is edited by targets, and goes', async () => {
    const path = `${ENVIRONMENT}/node-sets`
    const { id } = created<SavedSet>(
      await server.operator('POST', path, { name: 'wave', targets: { hostnames: ['db-1'] } }),
    )
    const edit = { add: { tags: ['web'] }, remove: { hostnames: ['db-1', 'web-2'] } }
    expect(created<SavedSet>(await server.operator('PATCH', `${path}/${id}`, edit), 200).nodes).toBe(1)
    expect(await count({ allOf: [{ nodeSet: 'wave' }, { hostnames: ['web-1'] }] })).toBe(1)
    expect((await allPages<SavedSet>(server, path, 1)).map(({ name }) => name)).toEqual(['wave', 'canaries'])
    expect((await server.operator('DELETE', `${path}/${id}`)).status).toBe(204)
    expect(problemOf(await server.operator('GET', `${path}/${id}`)).status).toBe(404)
    expect(problemOf(await preview({ nodeSet: 'wave' })).status).toBe(422)
  })

  it('has a name of its own', async () => {
    const body = { name: 'canaries', targets: { all: true } }
    expect(problemOf(await server.operator('POST', `${ENVIRONMENT}/node-sets`, body))).toEqual({
      status: 409,
      pointers: ['/name'],
    })
  })

  it('is not known in another environment', async () => {
    const [set] = await allPages<SavedSet>(server, `${ENVIRONMENT}/node-sets`, 10)
    expect((await server.operator('GET', `/environments/other/node-sets/${set?.id}`)).status).toBe(404)
  })

  it.each<[unknown, string[]]>([
    [{}, ['']],
    [{ add: { tags: ['none'] } }, ['/add/tags/0']],
    [{ remove: { all: false } }, ['/remove/all']],
  ])('refuses the edit %j', async (body, pointers) => {
    const [set] = await allPages<SavedSet>(server, `${ENVIRONMENT}/node-sets`, 10)
    const reply = await server.operator('PATCH', `${ENVIRONMENT}/node-sets/${set?.id}`, body)
    expect(problemOf(reply)).toEqual({ status: 422, pointers })
  })
})
