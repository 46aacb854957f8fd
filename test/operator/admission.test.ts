/** Approval and blocks: what agents are told meanwhile, and what operators do about them. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer, type Reply, type TestServer } from '../support/harness.ts'
import { allPages, created, enrollHost, makeEnvironment, problemOf } from '../support/operator.ts'

let server: TestServer
let secret: string
beforeAll(async () => {
  server = await startServer()
  secret = (await makeEnvironment(server, 'guarded')).secret
  created(await server.operator('PATCH', `${ENV}/admission`, { approval: true }), 200)
  const document = { schedule: { secret_sauce: { query: 'SELECT 1', interval: 60 } } }
  created(await server.operator('PUT', `${ENV}/configuration`, document), 200)
})
afterAll(() => server.close())

const ENV = '/environments/guarded'
const NOTHING = '{"schedule":{},"packs":{}}'

function agent(path: string, nodeKey: string, body: object = {}): Promise<Reply> {
  return server.agent(`/api/osquery/${path}`, { node_key: nodeKey, ...body })
}

/** Enrolls once the directory says that new nodes wait. */
function enrollGuarded(hostname: string, uuid = crypto.randomUUID()): Promise<string> {
  return server.until(async () => {
    const key = await enrollHost(server, hostname, { secret, uuid })
    if (key.startsWith('oen2-')) return key
    await server.operator('DELETE', `${ENV}/nodes/${(await nodeOf(hostname, 'any'))?.id}`)
    return null
  })
}

interface Node {
  id: string
  hostname: string
  state: string
}

async function nodes(state: string): Promise<Node[]> {
  return allPages<Node>(server, `${ENV}/nodes?state=${state}`, 100)
}

async function nodeOf(hostname: string, state: string): Promise<Node | undefined> {
  return (await nodes(state)).find((node) => node.hostname === hostname)
}

async function hostnames(state: string): Promise<string[]> {
  return (await nodes(state)).map(({ hostname }) => hostname)
}

function isInvalid(reply: Reply): boolean {
  return reply.text === '{"node_invalid":true}'
}

describe('a node that waits for approval', () => {
  let nodeKey: string
  beforeAll(async () => {
    nodeKey = await enrollGuarded('waiting')
  })

  it('gets a configuration without anything in it, the same bytes each time', async () => {
    for (let i = 0; i < 2; i += 1) expect((await agent('config', nodeKey)).text).toBe(NOTHING)
  })

  it('is asked nothing, whatever is asked of everybody', async () => {
    await enrollHost(server, 'old', { secret })
    await server.operator('POST', `${ENV}/nodes/approve`, { targets: { hostnames: ['old'] } })
    const query = { sql: 'SELECT 1', targets: { all: true }, includeLateEnrollments: true }
    expect(created(await server.operator('POST', `${ENV}/queries`, query))).toMatchObject({
      counts: { targeted: 1 },
    })
    expect((await agent('distributed/read', nodeKey)).text).toBe('{}')
  })

  it('keeps its log lines until it is approved: nothing of them gets into the archive', async () => {
    const body = { log_type: 'status', data: [{ message: 'of a stranger' }] }
    const reply = await agent('log', nodeKey, body)
    expect([reply.status, reply.text]).toEqual([403, 'retry'])
    const byHeader = await server.agent('/api/osquery/log', body, { authorization: `NodeKey ${nodeKey}` })
    expect([byHeader.status, byHeader.text]).toEqual([403, 'retry'])
  })

  it('is done with what it writes, and starts no carve', async () => {
    expect((await agent('distributed/write', nodeKey, { queries: { any: [] } })).text).toBe('{}')
    const carve = { carve_id: 'c', request_id: 'r', block_size: 10, block_count: 1, carve_size: 10 }
    expect((await agent('carve/begin', nodeKey, carve)).text).toBe('{"error":"refused"}')
    expect(await server.operator('GET', `${ENV}/quarantine`).then((reply) => reply.json())).toMatchObject({
      items: [],
    })
  })

  it('is listed as pending and nowhere else; targets do not know it', async () => {
    expect(await hostnames('pending')).toEqual(['waiting'])
    expect(await hostnames('active')).not.toContain('waiting')
    const preview = await server.operator('POST', `${ENV}/queries/preview`, {
      targets: { hostnames: ['waiting'] },
    })
    expect(problemOf(preview)).toEqual({ status: 422, pointers: ['/targets/hostnames/0'] })
    const admission = (await server.operator('GET', `${ENV}/admission`)).json()
    expect(admission).toMatchObject({ approval: true, nodes: { pending: 1, active: 1 } })
  })

  it('is shown with what it would get, and that it does not get it yet', async () => {
    const waiting = await nodeOf('waiting', 'pending')
    const reply = await server.operator('GET', `${ENV}/nodes/${waiting?.id}/configuration`)
    expect(reply.json()).toMatchObject({ state: 'pending', document: {} })
  })

  it('stays the same pending node when it enrolls again', async () => {
    const uuid = crypto.randomUUID()
    await enrollGuarded('again', uuid)
    const before = await nodeOf('again', 'pending')
    expect(await enrollHost(server, 'again', { secret, uuid })).toMatch(/^oen2-/)
    expect(await nodeOf('again', 'pending')).toMatchObject({ id: before?.id })
    await server.operator('POST', `${ENV}/nodes/deny`, { targets: { hostnames: ['again'] } })
  })

  it('sees everything once it is approved, with the key that it has', async () => {
    const reply = await server.operator('POST', `${ENV}/nodes/approve`, { targets: { all: true } })
    expect(created(reply, 200)).toMatchObject({ nodes: 1, live: true })
    await server.until(async () => (await agent('config', nodeKey)).text.includes('secret_sauce'))
    const body = { log_type: 'status', data: [{ message: 'of a friend' }] }
    expect((await agent('log', nodeKey, body)).text).toBe('{}')
    expect(await hostnames('pending')).toEqual([])
    const audit = (await server.operator('GET', '/audit?limit=1')).json<{ items: object[] }>()
    expect(audit.items[0]).toMatchObject({ action: 'nodes.approve', detail: { nodes: 1 } })
  })

  it('is asked then what asks nodes that enroll later', async () => {
    await server.worker.scheduled({ cron: '* * * * *', scheduledTime: new Date() })
    await server.until(async () => (await agent('distributed/read', nodeKey)).text.includes('SELECT 1'))
  })

  it('gets a plain key when it enrolls again', async () => {
    const { DB } = server.env
    const row = await DB.prepare("SELECT hardware_uuid AS uuid FROM nodes WHERE hostname = 'waiting'").first<{
      uuid: string
    }>()
    expect(await enrollHost(server, 'waiting', { secret, uuid: row?.uuid ?? '' })).toMatch(/^oen1-/)
  })
})

describe('approving', () => {
  it('means pending nodes alone; where none is meant it is refused', async () => {
    const reply = await server.operator('POST', `${ENV}/nodes/approve`, { targets: { all: true } })
    expect(problemOf(reply)).toEqual({ status: 422, pointers: ['/targets'] })
    const active = await server.operator('POST', `${ENV}/nodes/approve`, { targets: { hostnames: ['old'] } })
    expect(problemOf(active)).toEqual({ status: 422, pointers: ['/targets/hostnames/0'] })
  })

  it('is by any targets: those that are not meant go on waiting', async () => {
    const keys = [await enrollGuarded('db-1'), await enrollGuarded('db-2')]
    const reply = await server.operator('POST', `${ENV}/nodes/approve`, { targets: { hostnames: ['db-1'] } })
    expect(created(reply, 200)).toMatchObject({ nodes: 1 })
    await enrollGuarded('db-3')
    const all = { targets: { all: true }, maxNodes: 1 }
    expect(problemOf(await server.operator('POST', `${ENV}/nodes/approve`, all))).toEqual({
      status: 422,
      pointers: ['/targets'],
    })
    await server.until(async () => (await agent('config', keys[0] ?? '')).text !== NOTHING)
    expect((await agent('config', keys[1] ?? '')).text).toBe(NOTHING)
  })

  it.each([
    ['PATCH', 'admission', {}, ['']],
    ['PATCH', 'admission', { approval: 'yes' }, ['/approval']],
    ['PATCH', 'admission', { archiveAfterDays: -1 }, ['/archiveAfterDays']],
    ['PATCH', 'admission', { archiveAfterDays: 3_651 }, ['/archiveAfterDays']],
    ['PATCH', 'admission', { approve: true }, ['/approve', '']],
    ['POST', 'nodes/approve', {}, ['/targets']],
    ['POST', 'nodes/approve', { targets: { everybody: true } }, ['/targets/everybody']],
    ['POST', 'nodes/deny', { targets: { all: true }, reason: 5 }, ['/reason']],
    ['POST', 'blocks', { identity: 'x' }, ['/identity']],
    ['POST', 'blocks', {}, ['/identity']],
  ])('%s %s refuses %j', async (method, path, body, pointers) => {
    const refused = problemOf(await server.operator(method, `${ENV}/${path}`, body))
    expect(refused.status).toBe(422)
    expect(pointers).toEqual(expect.arrayContaining(refused.pointers))
  })

  it('is not there where nobody waits: an environment without it lets nodes in at once', async () => {
    expect(await server.enroll('plain')).toMatch(/^oen1-/)
    const { nodes: counts } = (await server.operator('GET', '/environments/default/admission')).json<{
      nodes: object
    }>()
    expect(counts).toEqual({ active: 1, pending: 0, archived: 0, blocked: 0 })
  })
})

describe('a node that is blocked', () => {
  const uuid = crypto.randomUUID()
  let nodeKey: string

  it('is told to enroll anew and does not get in, whatever its instance id', async () => {
    nodeKey = await enrollHost(server, 'stolen', { uuid })
    const { items } = (await server.operator('GET', '/environments/default/nodes?q=stolen')).json<{
      items: Node[]
    }>()
    const path = `/environments/default/nodes/${items[0]?.id}/block`
    created(await server.operator('POST', path, { reason: 'stolen in Berlin' }), 200)
    await server.until(async () => isInvalid(await agent('config', nodeKey)))
    const refused = await server.agent('/api/osquery/enroll', enrollBody('stolen', uuid))
    expect(refused.text).toBe('retry')
    expect(problemOf(await server.operator('POST', path, {})).status).toBe(409)
  })

  it('is listed with what it is known by and why; not among the active nodes', async () => {
    const { items } = (await server.operator('GET', '/environments/default/blocks')).json<{
      items: object[]
    }>()
    expect(items).toMatchObject([
      { hostname: 'stolen', identities: [`uuid:${uuid}`], reason: 'stolen in Berlin' },
    ])
    const active = (await server.operator('GET', '/environments/default/nodes?q=stolen')).json<{
      items: Node[]
    }>()
    expect(active.items).toEqual([])
    const { nodes: counts } = (await server.operator('GET', '/environments/default/admission')).json<{
      nodes: object
    }>()
    expect(counts).toMatchObject({ blocked: 1 })
  })

  it('is the node that it was once it is unblocked', async () => {
    const [block] = (await server.operator('GET', '/environments/default/blocks')).json<{
      items: { id: string }[]
    }>().items
    const elsewhere = await server.operator('DELETE', `${ENV}/blocks/${block?.id}`)
    expect(problemOf(elsewhere).status).toBe(404)
    expect((await server.operator('DELETE', `/environments/default/blocks/${block?.id}`)).status).toBe(204)
    await server.until(async () => !isInvalid(await agent('config', nodeKey)))
    expect(await enrollHost(server, 'stolen', { uuid })).toMatch(/^oen1-/)
    const { items } = (await server.operator('GET', '/environments/default/nodes?q=stolen')).json<{
      items: Node[]
    }>()
    expect(items).toHaveLength(1)
  })

  it('can be blocked before it ever came, by its identity', async () => {
    const other = crypto.randomUUID()
    const identity = `uuid:${other.toUpperCase()}`
    created(await server.operator('POST', '/environments/default/blocks', { identity, reason: 'lost' }))
    const reply = await server.agent('/api/osquery/enroll', enrollBody('lost', other))
    expect(reply.text).toBe('retry')
    expect(await enrollHost(server, 'lost', { secret, uuid: other })).toMatch(/^oen/)
  })
})

describe('denying', () => {
  it('blocks a pending node; unblocked it waits again', async () => {
    const uuid = crypto.randomUUID()
    const nodeKey = await enrollGuarded('denied', uuid)
    const reply = await server.operator('POST', `${ENV}/nodes/deny`, {
      targets: { hostnames: ['denied'] },
      reason: 'not ours',
    })
    expect(created(reply, 200)).toMatchObject({ nodes: 1, live: true })
    await server.until(async () => isInvalid(await agent('config', nodeKey)))
    expect(await nodeOf('denied', 'blocked')).toMatchObject({ state: 'blocked' })
    const { items } = (await server.operator('GET', `${ENV}/blocks`)).json<{
      items: { id: string; hostname: string }[]
    }>()
    const block = items.find(({ hostname }) => hostname === 'denied')
    await server.operator('DELETE', `${ENV}/blocks/${block?.id}`)
    expect(await nodeOf('denied', 'pending')).toMatchObject({ state: 'pending' })
  })
})

function enrollBody(hostname: string, uuid: string): object {
  return {
    enroll_secret: 's3cr3t-2026-for-tests',
    host_identifier: hostname,
    platform_type: '9',
    host_details: {
      system_info: { hostname, uuid },
      osquery_info: { version: '5.23.1', instance_id: crypto.randomUUID() },
    },
  }
}
