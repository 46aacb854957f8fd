import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer, type TestServer } from '../support/harness.ts'
import { allPages, created, enrollHost, makeEnvironment, problemOf } from '../support/operator.ts'

let server: TestServer
let other: { id: string; secret: string }
const keys: Record<string, string> = {}
const MAC_UUID = '564D0B52-1B4A-4C6E-9D39-0A1B2C3D4E5F'

beforeAll(async () => {
  server = await startServer()
  for (const host of ['web_1', 'web_2', 'web%3']) keys[host] = await enrollHost(server, host)
  keys['mac-1'] = await enrollHost(server, 'mac-1', {
    platform: 'darwin',
    platformType: '21',
    uuid: MAC_UUID,
  })
  other = await makeEnvironment(server, 'other')
  keys['alien'] = await enrollHost(server, 'alien', { secret: other.secret })
})
afterAll(() => server.close())

interface Node {
  id: string
  hostname: string
  platform: string
  tags: string[]
  online: boolean
  lastSeenAt: string
  enrolledAt: string
}

const NODES = '/environments/default/nodes'

async function hostnames(query: string): Promise<string[]> {
  const { items } = created<{ items: Node[] }>(await server.operator('GET', `${NODES}?${query}`), 200)
  return items.map(({ hostname }) => hostname)
}

async function nodeNamed(hostname: string): Promise<Node> {
  const [node] = (await allPages<Node>(server, NODES, 1_000)).filter((each) => each.hostname === hostname)
  if (node === undefined) throw new Error(`no node ${hostname}`)
  return node
}

describe('the list of nodes', () => {
  it('is newest first, page by page, and of one environment', async () => {
    const nodes = await allPages<Node>(server, NODES, 3)
    expect(nodes.map(({ hostname }) => hostname)).toEqual(['mac-1', 'web%3', 'web_2', 'web_1'])
    expect(nodes[0]).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      hostname: 'mac-1',
      platform: 'darwin',
      osqueryVersion: '5.23.1',
      lastIp: null,
      lastIpAt: null,
      tags: [],
      state: 'active',
      enrolledAt: expect.stringMatching(/^\d{4}-.*Z$/) as string,
      lastSeenAt: expect.stringMatching(/^\d{4}-.*Z$/) as string,
      online: true,
    })
    expect(
      (await allPages<Node>(server, '/environments/other/nodes', 1)).map(({ hostname }) => hostname),
    ).toEqual(['alien'])
    expect(created(await server.operator('GET', `/environments/${other.id}`), 200)).toMatchObject({
      nodeCount: 1,
    })
  })

  it.each([
    ['platform=darwin', ['mac-1']],
    ['platform=linux', ['web%3', 'web_2', 'web_1']],
    ['platform=ubuntu', ['web%3', 'web_2', 'web_1']],
    ['platform=windows', []],
    ['q=WEB_', ['web_2', 'web_1']],
    ['q=%25', ['web%3']],
    ['q=b_1', ['web_1']],
    [`q=${MAC_UUID}`, ['mac-1']],
    ['q=sn-mac', ['mac-1']],
    ['q=alien', []],
    [`q=${'x'.repeat(200)}`, []],
    ['q=web&platform=darwin', []],
    ['online=true', ['mac-1', 'web%3', 'web_2', 'web_1']],
    ['online=true&q=web&limit=2', ['web%3', 'web_2']],
    ['online=false', []],
  ])('filters by %s', async (query, expected) => {
    expect(await hostnames(query)).toEqual(expected)
  })

  it('pages through a filter by presence, which is not in the database', async () => {
    const nodes = await allPages<Node>(server, `${NODES}?online=true`, 1)
    expect(nodes.map(({ hostname }) => hostname)).toEqual(['mac-1', 'web%3', 'web_2', 'web_1'])
  })

  it('calls a node offline that was not seen for twice its interval and a minute', async () => {
    // The configuration says 10 s: 80 s is the limit.
    await server.env.DB.prepare(
      "UPDATE nodes SET enrolled_at = enrolled_at - 100000 WHERE hostname = 'web_1'",
    ).run()
    const seen = await nodeNamed('web_1')
    const presence = await server.operator('GET', `${NODES}/${seen.id}`)
    expect(presence.json<{ lastSeen: { enroll: string | null } }>().lastSeen.enroll).not.toBeNull()
    await server.env.DB.prepare(
      `INSERT INTO nodes (id, environment_id, ordinal, identity, hostname, platform, platform_family, osquery_version,
         host_identifier, hardware_uuid, hardware_serial, instance_id, host_details, first_enrolled_at, enrolled_at)
       SELECT 'f0000000-0000-4000-8000-000000000000', environment_id, 900, 'host:cold', 'cold',
       platform, platform_family, osquery_version, host_identifier, '', '', '', '{}', first_enrolled_at,
       enrolled_at - 100000 FROM nodes WHERE hostname = 'web_1'`,
    ).run()
    expect(await hostnames('online=false')).toEqual(['cold'])
    expect(await hostnames('online=true')).not.toContain('cold')
    await server.env.DB.prepare("DELETE FROM nodes WHERE hostname = 'cold'").run()
  })

  it.each([
    ['online=yes', 'online'],
    ['limit=0', 'limit'],
    ['cursor=abc', 'cursor'],
    [`q=${'x'.repeat(257)}`, 'q'],
  ])('refuses %s', async (query, pointer) => {
    expect(problemOf(await server.operator('GET', `${NODES}?${query}`))).toEqual({
      status: 422,
      pointers: [pointer],
    })
  })
})

describe('one node', () => {
  it('shows all that enroll told, when it was seen doing what, and what it was served', async () => {
    const { id } = await nodeNamed('mac-1')
    // What an isolate's flush says, without waiting for it.
    const row = await server.env.DB.prepare('SELECT environment_id AS env, ordinal FROM nodes WHERE id = ?')
      .bind(id)
      .first<{ env: string; ordinal: number }>()
    const atS = Math.floor(Date.now() / 1_000)
    const sighting = { ordinal: row?.ordinal ?? -1, kind: 'config' as const, atS, configurationVersion: 1 }
    await server.env.PRESENCE.getByName(`${row?.env}/0`).flush([sighting], {})
    const detail = (await server.operator('GET', `${NODES}/${id}`)).json()
    expect(detail).toMatchObject({
      id,
      platformFamily: 'darwin',
      hostIdentifier: 'mac-1',
      hardwareUuid: MAC_UUID.toLowerCase(),
      hardwareSerial: 'SN-mac-1',
      instanceId: expect.any(String) as string,
      hostDetails: { system_info: { hostname: 'mac-1' }, os_version: { platform: 'darwin' } },
      enrollCount: 1,
      enrollSecretId: expect.any(String) as string,
      cloneSuspectedAt: null,
      cloneOf: null,
      clones: null,
      dampedEnrolls: 0,
      firstEnrolledAt: expect.any(String) as string,
      configurationVersion: 1,
      lastSeen: {
        enroll: expect.stringMatching(/Z$/) as string,
        config: expect.any(String) as string,
        log: null,
      },
    })
  })

  it.each([
    ['GET', '/x', undefined],
    ['PUT', '/x/tags', { tags: [] }],
    ['DELETE', '/x', undefined],
  ])('is not there under another environment or unknown id: %s %s', async (method, path, body) => {
    const { id } = await nodeNamed('web_2')
    for (const prefix of [`/environments/other/nodes`, NODES]) {
      const reference = prefix === NODES ? crypto.randomUUID() : id
      const reply = await server.operator(method, `${prefix}${path.replace('x', reference)}`, body)
      expect(problemOf(reply)).toEqual({ status: 404, pointers: [] })
    }
    expect((await nodeNamed('web_2')).tags).toEqual([])
  })
})

describe('tags', () => {
  it('are replaced as a whole, once each, and can be targets', async () => {
    const { id } = await nodeNamed('web_2')
    const put = (body: unknown) => server.operator('PUT', `${NODES}/${id}/tags`, body)
    expect(created(await put({ tags: ['role:web', 'b', 'b'] }), 200)).toMatchObject({
      id,
      tags: ['b', 'role:web'],
      live: true,
    })
    expect(created(await put(['canary@1']), 200)).toMatchObject({ tags: ['canary@1'] })
    expect((await nodeNamed('web_2')).tags).toEqual(['canary@1'])
    const query = { sql: 'SELECT 1', targets: { tags: ['canary@1'] } }
    expect(created(await server.operator('POST', '/environments/default/queries', query))).toMatchObject({
      counts: { targeted: 1 },
    })
    const elsewhere = await server.operator('POST', '/environments/other/queries', query)
    expect(problemOf(elsewhere)).toEqual({ status: 422, pointers: ['/targets/tags/0'] })
    expect(created(await put([]), 200)).toMatchObject({ tags: [] })
  })

  it('may be fifty', async () => {
    const { id } = await nodeNamed('web_2')
    const tags = Array.from({ length: 51 }, (_, index) => `t${String(index).padStart(2, '0')}`)
    const put = (body: unknown) => server.operator('PUT', `${NODES}/${id}/tags`, body)
    expect(created(await put({ tags: tags.slice(0, 50) }), 200)).toMatchObject({ tags: tags.slice(0, 50) })
    expect(problemOf(await put({ tags })).pointers).toEqual(['/tags'])
    await put([])
  })

  it.each([
    [{ tags: ['ok', ''] }, '/tags/1'],
    [{ tags: ['-x'] }, '/tags/0'],
    [{ tags: ['a b'] }, '/tags/0'],
    [{ tags: ['x'.repeat(64)] }, '/tags/0'],
    [{ tags: [5] }, '/tags/0'],
    [{ tags: 'x' }, '/tags'],
    [{}, '/tags'],
    [{ tags: [], more: 1 }, '/more'],
  ])('refuse %j', async (body, pointer) => {
    const { id } = await nodeNamed('web_2')
    expect(problemOf(await server.operator('PUT', `${NODES}/${id}/tags`, body))).toEqual({
      status: 422,
      pointers: [pointer],
    })
  })
})

describe('deleting a node', () => {
  it('revokes its key within seconds, and it may enroll anew as a new node', async () => {
    const uuid = crypto.randomUUID()
    const nodeKey = await enrollHost(server, 'goner', { uuid })
    const { id } = await nodeNamed('goner')
    await server.operator('PUT', `${NODES}/${id}/tags`, ['doomed'])
    const config = () => server.agent('/api/osquery/config', { node_key: nodeKey })
    expect((await config()).text).toContain('schedule')
    const reply = await server.operator('DELETE', `${NODES}/${id}`)
    expect([reply.status, reply.text, reply.headers.get('x-live')]).toEqual([204, '', 'true'])
    await server.until(async () => (await config()).text === '{"node_invalid":true}')
    expect(problemOf(await server.operator('GET', `${NODES}/${id}`)).status).toBe(404)
    expect(problemOf(await server.operator('DELETE', `${NODES}/${id}`)).status).toBe(404)
    for (const targets of [{ nodes: [id] }, { hostnames: ['goner'] }, { tags: ['doomed'] }]) {
      const query = await server.operator('POST', '/environments/default/queries', {
        sql: 'SELECT 1',
        targets,
      })
      expect(problemOf(query).status).toBe(422)
    }
    await enrollHost(server, 'goner', { uuid })
    const again = await nodeNamed('goner')
    expect([again.id === id, again.tags]).toEqual([false, []])
  })
})
