/** Carves from an operator's side, with simulated answers of agents: ask, watch, download, delete. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { archiveOf, begin, carveOf, sendBlock, sendBlocks, sha256Of, type Carve } from '../support/carving.ts'
import { startServer, type Reply, type TestServer } from '../support/harness.ts'
import { created, problemOf } from '../support/operator.ts'

const CARVES = '/environments/default/carves'

interface ShownCarve {
  id: string
  nodeId: string
  carveId: string | null
  queryId: string | null
  status: string
  message: string | null
  blocksReceived: number
  blockCount: number | null
  fileName: string | null
}
interface Requested extends ShownCarve {
  carves: ShownCarve[]
}

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

function request(hostname: string, path = '/etc/hosts'): Promise<Reply> {
  return server.operator('POST', CARVES, { path, targets: { hostnames: [hostname] } })
}

async function shown(id: string): Promise<ShownCarve> {
  return created(await server.operator('GET', `${CARVES}/${id}`), 200)
}

function withStatus(id: string, status: string): Promise<ShownCarve> {
  return server.until(async () => {
    const carve = await shown(id)
    return carve.status === status ? carve : null
  })
}

/** Polls until the agent is given a query; its id on the wire and SQL. */
function poll(nodeKey: string): Promise<{ id: string; sql: string }> {
  return server.until(async () => {
    const reply = await server.agent('/api/osquery/distributed/read', { node_key: nodeKey })
    const [query] = Object.entries(reply.json<{ queries?: Record<string, string> }>().queries ?? {})
    return query === undefined ? null : { id: query[0], sql: query[1] }
  })
}

/** Answers as vector K1. */
async function answer(nodeKey: string, id: string, carve: Carve | null, message = ''): Promise<void> {
  const row = carve && {
    time: '1788866000',
    sha256: '',
    size: '-1',
    path: '/etc/hosts',
    status: 'SCHEDULED',
    carve_guid: carve.carveId,
    request_id: carve.requestId,
    carve: '1',
  }
  const reply = await server.agent('/api/osquery/distributed/write', {
    queries: { [id]: row === null ? [] : [row] },
    statuses: { [id]: message === '' ? 0 : 1 },
    messages: { [id]: message },
    node_key: nodeKey,
  })
  expect(reply.text).toBe('{}')
}

/** The archive route, as bytes (the harness's operator reads text). */
async function download(id: string) {
  const response = await server.harness.fetch(`/api/v1${CARVES}/${id}/archive`, {
    headers: { authorization: 'Bearer oeo_a-token-for-tests-only' },
  })
  return {
    status: response.status,
    headers: response.headers,
    bytes: new Uint8Array(await response.arrayBuffer()),
  }
}

describe('asking for a file', () => {
  it('K1: goes all the way to the archive', async () => {
    const nodeKey = await server.enroll('all-the-way')
    const asked = created<Requested>(await request('all-the-way', "/home/o'neil/notes.txt"))
    expect(asked).toMatchObject({
      path: "/home/o'neil/notes.txt",
      status: 'requested',
      carveId: null,
      blocksReceived: 0,
      blockCount: null,
      live: true,
      carves: [{ id: asked.id, queryId: asked.queryId }],
    })
    const query = await poll(nodeKey)
    expect(query.sql).toBe("SELECT * FROM carves WHERE carve = 1 AND path = '/home/o''neil/notes.txt'")
    const carve = carveOf(nodeKey, archiveOf(10_240), 4_096)
    await answer(nodeKey, query.id, carve)
    expect(await withStatus(asked.id, 'scheduled')).toMatchObject({ carveId: carve.carveId })
    const sessionId = await begin(server, carve)
    await sendBlocks(server, carve, sessionId, [0, 1])
    expect(await withStatus(asked.id, 'receiving')).toMatchObject({ blocksReceived: 2, blockCount: 3 })
    const early = await download(asked.id)
    expect(early.status).toBe(409)
    await sendBlocks(server, carve, sessionId, [2])
    const done = await withStatus(asked.id, 'complete')
    const fileName = `all-the-way-${carve.carveId}.tar`
    expect(done).toMatchObject({ fileName, sha256: sha256Of(carve.archive), bytes: 10_240 })
    const { status, headers, bytes } = await download(asked.id)
    expect([status, sha256Of(bytes)]).toEqual([200, sha256Of(carve.archive)])
    expect(Object.fromEntries(headers)).toMatchObject({
      'content-type': 'application/x-tar',
      'content-length': '10240',
      'content-disposition': `attachment; filename="${fileName}"`,
    })
  })

  it('finds an upload that was faster than its answer, by either id', async () => {
    const nodeKey = await server.enroll('faster')
    const asked = created<Requested>(await request('faster'))
    const query = await poll(nodeKey)
    const carve = carveOf(nodeKey, archiveOf(5_000), 4_096)
    await sendBlocks(server, carve, await begin(server, carve))
    const own = await server.until(async () => {
      const { items } = (await server.operator('GET', `${CARVES}?node=${asked.nodeId}`)).json<{
        items: ShownCarve[]
      }>()
      return items.find(({ carveId, status }) => carveId === carve.carveId && status === 'complete')
    })
    expect(own.queryId).toBeNull()
    await answer(nodeKey, query.id, carve)
    const joined = await withStatus(asked.id, 'complete')
    expect(joined).toMatchObject({ queryId: asked.queryId, carveId: carve.carveId })
    expect(await shown(own.id)).toEqual(joined)
  })

  it.each([
    ['a LIKE that matches nothing', '', 'carver is off'],
    ['an error', 'no such table: carves', 'no such table'],
  ])('says why a node has nothing to hand in: %s', async (what, message, said) => {
    const hostname = `nothing-${what.length}`
    const nodeKey = await server.enroll(hostname)
    const asked = created<Requested>(await request(hostname, '/nowhere/%'))
    const query = await poll(nodeKey)
    expect(query.sql).toBe("SELECT * FROM carves WHERE carve = 1 AND path LIKE '/nowhere/%'")
    await answer(nodeKey, query.id, null, message)
    expect((await withStatus(asked.id, 'failed')).message).toContain(said)
  })

  it('of several nodes makes a carve for each, listed under the query', async () => {
    await Promise.all(['many-1', 'many-2', 'many-3'].map((name) => server.enroll(name)))
    const hostnames = ['many-1', 'many-2', 'many-3']
    const asked = created<Requested>(
      await server.operator('POST', CARVES, { path: '/etc/passwd', targets: { hostnames } }),
    )
    expect(asked.id).toBe(asked.queryId)
    expect(new Set(asked.carves.map(({ nodeId }) => nodeId)).size).toBe(3)
    const list = `${CARVES}?query=${asked.queryId}&limit=2`
    const first = (await server.operator('GET', list)).json<{ items: ShownCarve[]; nextCursor: string }>()
    const second = (await server.operator('GET', `${list}&cursor=${first.nextCursor}`)).json<{
      items: ShownCarve[]
      nextCursor: null
    }>()
    expect([first.items.length, second.items.length, second.nextCursor]).toEqual([2, 1, null])
    const ids = [...first.items, ...second.items].map(({ id }) => id)
    expect(new Set(ids)).toEqual(new Set(asked.carves.map(({ id }) => id)))
    expect(
      (await server.operator('GET', `/environments/default/queries/${asked.queryId}`)).json(),
    ).toMatchObject({
      kind: 'carve',
      counts: { targeted: 3 },
    })
  })

  it('expires with its query', async () => {
    await server.enroll('stopped')
    const asked = created<Requested>(await request('stopped'))
    await server.operator('POST', `/environments/default/queries/${asked.queryId}/stop`)
    expect(await shown(asked.id)).toMatchObject({
      status: 'expired',
      message: expect.stringContaining('query') as string,
    })
  })

  it.each([
    ['no path', { path: undefined }, '/path'],
    ['a blank path', { path: '  ' }, '/path'],
    ['a comma', { path: '/a,b' }, '/path'],
    ['a NUL', { path: '/a\0b' }, '/path'],
    ['an endless path', { path: `/${'a'.repeat(4_096)}` }, '/path'],
    ['no targets', { targets: undefined }, '/targets'],
    ['unknown targets', { targets: { hostnames: ['nobody'] } }, '/targets/hostnames/0'],
    ['something unknown', { mode: 'fast' }, '/mode'],
  ])('is refused with %s', async (_what, change, pointer) => {
    const body = { path: '/etc/hosts', targets: { all: true }, ...change }
    const problem = problemOf(await server.operator('POST', CARVES, body))
    expect(problem).toEqual({ status: 422, pointers: [pointer] })
  })

  it('is refused beyond a thousand nodes', async () => {
    const nodes = server.env.DB.prepare(
      `INSERT INTO nodes (id, environment_id, ordinal, identity, hostname, platform, platform_family, osquery_version,
         host_identifier, hardware_uuid, hardware_serial, instance_id, host_details, first_enrolled_at, enrolled_at)
       SELECT 'n' || value, e.id, 50000 + value, 'n' || value, 'h' || value, 'plan9', 'other', '', '', '', '', '', '{}', 0, 0
       FROM environments e, json_each(?1) WHERE e.name = 'default'`,
    )
    await nodes.bind(JSON.stringify(Array.from({ length: 1_001 }, (_, index) => index))).run()
    const body = { path: '/etc/hosts', targets: { platforms: ['plan9'] } }
    expect(problemOf(await server.operator('POST', CARVES, body))).toEqual({
      status: 422,
      pointers: ['/targets'],
    })
    await server.env.DB.prepare("DELETE FROM nodes WHERE id = 'n0'").run()
    expect(created<Requested>(await server.operator('POST', CARVES, body)).carves).toHaveLength(1_000)
    await server.env.DB.prepare("DELETE FROM nodes WHERE platform = 'plan9'").run()
  })
})

describe('deleting a carve', () => {
  it('takes its archive and its row, and notes who did it', async () => {
    const nodeKey = await server.enroll('deleted')
    const carve = carveOf(nodeKey, archiveOf(5_000), 4_096)
    const sessionId = await begin(server, carve)
    await sendBlocks(server, carve, sessionId)
    const { id, object_key: key } = await server.until(() =>
      server.env.DB.prepare("SELECT id, object_key FROM carves WHERE carve_id = ? AND status = 'complete'")
        .bind(carve.carveId)
        .first<{ id: string; object_key: string }>(),
    )
    expect((await server.operator('DELETE', `${CARVES}/${id}`)).status).toBe(204)
    expect((await server.operator('GET', `${CARVES}/${id}`)).status).toBe(404)
    expect((await server.operator('DELETE', `${CARVES}/${id}`)).status).toBe(404)
    expect(await server.env.CARVES.head(key)).toBeNull()
    expect((await sendBlock(server, carve, sessionId, 0)).text).toBe('retry')
    const audit = (await server.operator('GET', '/audit')).json<{
      items: { action: string; subject: string }[]
    }>()
    expect(audit.items).toContainEqual(expect.objectContaining({ action: 'carve.delete', subject: id }))
  })

  it('refuses a running upload from then on', async () => {
    const nodeKey = await server.enroll('running')
    const carve = carveOf(nodeKey, archiveOf(10_000), 4_096)
    const sessionId = await begin(server, carve)
    await sendBlocks(server, carve, sessionId, [0])
    const row = await server.until(() =>
      server.env.DB.prepare('SELECT id FROM carves WHERE carve_id = ?')
        .bind(carve.carveId)
        .first<{ id: string }>(),
    )
    expect((await server.operator('DELETE', `${CARVES}/${row.id}`)).status).toBe(204)
    expect((await sendBlock(server, carve, sessionId, 1)).text).toBe('retry')
  })

  it('is not for other environments', async () => {
    await server.operator('POST', '/environments', { name: 'elsewhere' })
    await server.enroll('mine')
    const { id } = created<Requested>(await request('mine'))
    for (const [method, path] of [
      ['GET', `/environments/elsewhere/carves/${id}`],
      ['GET', `/environments/elsewhere/carves/${id}/archive`],
      ['DELETE', `/environments/elsewhere/carves/${id}`],
    ] as const)
      expect((await server.operator(method, path)).status).toBe(404)
    expect((await shown(id)).status).toBe('requested')
  })
})
