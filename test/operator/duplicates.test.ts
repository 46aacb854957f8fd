/** GET …/duplicates and POST …/nodes/{id}/merge. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer, type TestServer } from '../support/harness.ts'
import { allPages, created, enrollHost, makeEnvironment, problemOf } from '../support/operator.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

interface Group {
  value: string
  nodes: { id: string; hostname: string }[]
}

/** A machine that got a new mainboard: two nodes with one serial. */
async function twice(name: string) {
  const { id: environmentId, secret } = await makeEnvironment(server, name)
  const uuids = [crypto.randomUUID(), crypto.randomUUID()]
  const enroll = (index: number) => enrollHost(server, 'web', { secret, uuid: uuids[index] ?? '' })
  const keys = [await enroll(0), await enroll(1)]
  const path = `/environments/${name}`
  const ids = await Promise.all(
    uuids.map(async (uuid) => {
      const { items } = (await server.operator('GET', `${path}/nodes?q=${uuid}`)).json<{
        items: { id: string }[]
      }>()
      return items[0]?.id ?? ''
    }),
  )
  const [older = '', newer = ''] = ids
  const [oldKey = '', newKey = ''] = keys
  return { environmentId, path, older, newer, oldKey, newKey, enroll }
}

async function isInvalid(nodeKey: string): Promise<boolean> {
  return (await server.agent('/api/osquery/config', { node_key: nodeKey })).text === '{"node_invalid":true}'
}

describe('duplicates', () => {
  it('are found by serial, UUID or hostname, group by group; placeholders are none', async () => {
    const { path, older, newer } = await twice('found')
    const group = { value: 'sn-web', nodes: [{ id: newer }, { id: older }] }
    expect((await server.operator('GET', `${path}/duplicates`)).json()).toMatchObject({ items: [group] })
    const byName = await server.operator('GET', `${path}/duplicates?by=hostname`)
    expect(byName.json()).toMatchObject({ items: [{ value: 'web' }] })
    expect((await server.operator('GET', `${path}/duplicates?by=uuid`)).json()).toMatchObject({ items: [] })
    await server.env.DB.prepare("UPDATE nodes SET hardware_serial = 'Default string' WHERE id IN (?, ?)")
      .bind(older, newer)
      .run()
    expect((await server.operator('GET', `${path}/duplicates`)).json()).toMatchObject({ items: [] })
  })

  it('are paged', async () => {
    const { secret } = await makeEnvironment(server, 'pages')
    for (const host of ['a', 'b', 'c', 'a', 'b', 'c']) await enrollHost(server, host, { secret })
    const groups = await allPages<Group>(server, '/environments/pages/duplicates?by=hostname', 2)
    expect(groups.map(({ value, nodes }) => [value, nodes.length])).toEqual([
      ['a', 2],
      ['b', 2],
      ['c', 2],
    ])
  })

  it.each(['by=mac', 'limit=0', 'cursor=x'])('refuses ?%s', async (query) => {
    const reply = await server.operator('GET', `/environments/default/duplicates?${query}`)
    expect(problemOf(reply).status).toBe(422)
  })
})

describe('a merge', () => {
  it('makes one node of two: tags united, the other key revoked, its agent comes in as the one that stays', async () => {
    const { path, older, newer, oldKey, newKey, enroll } = await twice('merged')
    await server.operator('PUT', `${path}/nodes/${older}/tags`, { tags: ['kept', 'both'] })
    await server.operator('PUT', `${path}/nodes/${newer}/tags`, { tags: ['both', 'gone'] })
    const reply = await server.operator('POST', `${path}/nodes/${newer}/merge`, { into: older })
    expect(created(reply, 200)).toMatchObject({
      id: older,
      tags: ['both', 'gone', 'kept'],
      formerIds: [newer],
      live: true,
    })
    await server.until(() => isInvalid(newKey))
    expect(await isInvalid(oldKey)).toBe(false)
    const key = await enroll(1)
    expect(await isInvalid(key)).toBe(false)
    const list = (await server.operator('GET', `${path}/nodes`)).json<{ items: { id: string }[] }>()
    expect(list.items.map(({ id }) => id)).toEqual([older])
    const again = await enroll(0)
    expect(await isInvalid(again)).toBe(false)
    expect((await server.operator('GET', `${path}/nodes`)).json<{ items: object[] }>().items).toHaveLength(1)
    const audit = (await server.operator('GET', '/audit?limit=1')).json<{ items: object[] }>()
    expect(audit.items[0]).toMatchObject({ action: 'node.merge', subject: newer, detail: { into: older } })
  })

  it('keeps the history under the id that it had, and says where the node is', async () => {
    const { path, older, newer } = await twice('history')
    created(await server.operator('POST', `${path}/nodes/${newer}/merge`, { into: older }), 200)
    const gone = await server.operator('GET', `${path}/nodes/${newer}`)
    expect(problemOf(gone).status).toBe(404)
    expect(gone.text).toContain(older)
    expect((await server.operator('GET', `${path}/nodes/${newer}/logs`)).status).toBe(200)
  })

  it('of what was merged before goes along', async () => {
    const { path, older, newer, enroll } = await twice('chain')
    const third = await enrollHost(server, 'third', { secret: await anotherSecret(path) })
    const { items } = (await server.operator('GET', `${path}/nodes?q=third`)).json<{
      items: { id: string }[]
    }>()
    const last = items[0]?.id ?? ''
    created(await server.operator('POST', `${path}/nodes/${newer}/merge`, { into: older }), 200)
    const reply = await server.operator('POST', `${path}/nodes/${older}/merge`, { into: last })
    expect(created(reply, 200)).toMatchObject({ id: last, formerIds: [older, newer] })
    expect(await isInvalid(third)).toBe(false)
    for (const index of [0, 1]) await enroll(index)
    expect((await server.operator('GET', `${path}/nodes`)).json<{ items: object[] }>().items).toHaveLength(1)
  })

  it('is refused with itself, with nobody, across environments, and while one waits or is blocked', async () => {
    const { path, older, newer } = await twice('refused')
    const merge = (id: string, into: string) => server.operator('POST', `${path}/nodes/${id}/merge`, { into })
    expect(problemOf(await merge(newer, newer))).toEqual({ status: 422, pointers: ['/into'] })
    expect(problemOf(await merge(newer, crypto.randomUUID()))).toEqual({ status: 422, pointers: ['/into'] })
    expect(problemOf(await merge(newer, 'x'))).toEqual({ status: 422, pointers: ['/into'] })
    expect(problemOf(await merge(crypto.randomUUID(), older)).status).toBe(404)
    const elsewhere = await server.operator('POST', `/environments/default/nodes/${newer}/merge`, {
      into: older,
    })
    expect(problemOf(elsewhere).status).toBe(404)
    created(await server.operator('POST', `${path}/nodes/${newer}/block`, {}), 200)
    expect(problemOf(await merge(newer, older)).status).toBe(409)
    expect(problemOf(await merge(older, newer))).toEqual({ status: 422, pointers: ['/into'] })
  })
})

async function anotherSecret(path: string): Promise<string> {
  const reply = await server.operator('POST', `${path}/enroll-secrets`, { name: 'another' })
  return created<{ secret: string }>(reply).secret
}
