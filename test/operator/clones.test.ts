import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer, type TestServer } from '../support/harness.ts'
import { allPages, created, makeEnvironment, problemOf } from '../support/operator.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

interface Clone {
  id: string
  state: string
  cloneOf: string | null
  identity: string
  instanceId: string
}

let environments = 0
/** An environment with a node of two machines, split as if presence had found it. */
async function split(by: 'instance' | 'host', shape: { uuid: string; instance: string }) {
  environments += 1
  const name = `clones-${environments}`
  const { id, secret } = await makeEnvironment(server, name)
  const enroll = (uuid: string, instance: string) =>
    server.until(async () => {
      const reply = await server.agent('/api/osquery/enroll', {
        enroll_secret: secret,
        host_identifier: 'box',
        host_details: { system_info: { hostname: 'box', uuid }, osquery_info: { instance_id: instance } },
      })
      return reply.json<{ node_key?: string }>().node_key
    }, 5_000)
  await enroll('u-1', 'b')
  const found = `UPDATE nodes SET clones = 'split', split_by = ?2, clones_found_at = 5, split_count = 1,
    clones_evidence = '{"kind":"two-keys","olderS":1,"newerS":2}' WHERE environment_id = ?1`
  await server.env.DB.prepare(found).bind(id, by).run()
  const key = await enroll(shape.uuid, shape.instance)
  const path = `/environments/${name}/clones`
  return {
    path,
    name,
    key,
    enroll: () => enroll(shape.uuid, shape.instance),
    list: () => allPages<Clone>(server, path, 1),
  }
}

describe('clones', () => {
  it('are listed with what is known of them, the newest first', async () => {
    const { path, name, list } = await split('instance', { uuid: 'u-1', instance: 'a' })
    const [clone, original] = await list()
    expect(original).toEqual({
      id: expect.any(String) as string,
      hostname: 'box',
      state: 'split',
      cloneOf: null,
      identity: 'uuid:u-1',
      instanceId: 'b',
      hostIdentifier: 'box',
      splitBy: 'instance',
      evidence: { kind: 'two-keys', olderS: 1, newerS: 2 },
      suspectedAt: null,
      foundAt: '1970-01-01T00:00:00.005Z',
      enrolledAt: expect.stringMatching(/Z$/) as string,
      enrollCount: 1,
      dampedEnrolls: 0,
    })
    expect(clone).toMatchObject({ state: 'split', cloneOf: original?.id, identity: 'uuid:u-1#a' })
    const joined = await server.operator('GET', `${path}?state=joined`)
    expect(joined.json<{ items: unknown[] }>().items).toEqual([])
    const node = await server.operator('GET', `/environments/${name}/nodes/${clone?.id}`)
    expect(created(node, 200)).toMatchObject({ cloneOf: original?.id, clones: 'split', dampedEnrolls: 0 })
  })

  it.each([
    ['instance', { uuid: 'u-1', instance: 'a' }],
    ['host', { uuid: 'u-2', instance: 'b' }],
  ] as const)('split by %s can be joined again, and stay so', async (by, shape) => {
    const { path, name, key, enroll, list } = await split(by, shape)
    const [clone, original] = await list()
    await server.operator('PUT', `/environments/${name}/nodes/${clone?.id}/tags`, { tags: ['kept'] })
    expect(problemOf(await server.operator('POST', `${path}/${clone?.id}/join`)).status).toBe(409)
    const merge = await server.operator('POST', `/environments/${name}/nodes/${clone?.id}/merge`, {
      into: original?.id,
    })
    expect(problemOf(merge)).toEqual({ status: 409, pointers: ['/into'] })
    const joined = created(await server.operator('POST', `${path}/${original?.id}/join`), 200)
    expect(joined).toMatchObject({
      id: original?.id,
      state: 'joined',
      splitBy: null,
      joined: [clone?.id],
      live: true,
    })
    await server.until(
      async () =>
        (await server.agent('/api/osquery/config', { node_key: key })).text === '{"node_invalid":true}',
    )
    await enroll()
    const left = await allPages<{ id: string; tags: string[] }>(server, `/environments/${name}/nodes`, 10)
    expect(left.map(({ id, tags }) => [id, tags])).toEqual([[original?.id, ['kept']]])
    expect((await list()).map(({ id, state, identity }) => [id, state, identity])).toEqual([
      [original?.id, 'joined', 'uuid:u-1'],
    ])
  })

  it('are of one environment', async () => {
    const { list } = await split('instance', { uuid: 'u-1', instance: 'a' })
    const [, original] = await list()
    const reply = await server.operator('POST', `/environments/default/clones/${original?.id}/join`)
    expect(problemOf(reply).status).toBe(404)
    expect(
      problemOf(await server.operator('GET', '/environments/default/clones?state=other')).pointers,
    ).toEqual(['state'])
  })
})
