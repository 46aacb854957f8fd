/** Spec 9.1, 9.2, 9.4; Fleet cases 1-3, 5, 11, 15-17, 59; osctrl's untested cases. Where they judge by status or an
 * `error` member, our reply rules (design section 2) stand in their place. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { NO_BUILT_IN } from '../../src/config/built-in.ts'
import { ENROLL_SECRET, STARTER_CONFIGURATION, startServer, type TestServer } from '../support/harness.ts'

const NODE_INVALID = '{"node_invalid":true}'
const FOREIGN_KEY = 'q8Zr0fJ3m1Xy7uTnB5aWc2Lh9eKdVg4s'

let server: TestServer
let nodeKey: string
let other: { id: string; secret: string; nodeKey: string }
beforeAll(async () => {
  server = await startServer()
  nodeKey = await server.enroll('web-17')
  const environment = { name: 'other', builtInQueries: NO_BUILT_IN }
  const { id } = (await server.operator('POST', '/environments', environment)).json<{ id: string }>()
  const secret = 'the-secret-of-the-other-one'
  await server.operator('POST', '/environments/other/enroll-secrets', { name: 'x', secret })
  const key = await server.until(async () => {
    const reply = await server.agent('/api/osquery/enroll', {
      enroll_secret: secret,
      host_identifier: 'elsewhere',
    })
    return reply.json<{ node_key?: string }>().node_key
  })
  other = { id, secret, nodeKey: key }
})
afterAll(() => server.close())

const E1 = {
  enroll_secret: ENROLL_SECRET,
  host_identifier: '4c4c4544-0042-3510-8052-b4c04f4d5231',
  platform_type: '9',
  host_details: {
    os_version: {
      arch: 'x86_64',
      codename: 'noble',
      name: 'Ubuntu',
      platform: 'ubuntu',
      version: '24.04.1 LTS',
    },
    osquery_info: {
      build_platform: 'linux',
      instance_id: '7f0f4bb3-6f0c-4e0e-9c36-6d0e6ad21d3a',
      uuid: '4c4c4544-0042-3510-8052-b4c04f4d5231',
      version: '5.23.1',
    },
    system_info: {
      hostname: 'web-e1',
      uuid: '4C4C4544-0042-3510-8052-B4C04F4D5231',
      hardware_serial: '5BRM2X1',
    },
    platform_info: { vendor: 'Dell Inc.', firmware_type: 'uefi' },
    a_table_of_the_future: { some: 'thing', padded: 'x\u0000\u0000' },
  },
}

describe('enroll', () => {
  it('E1: a current Linux client; all that it tells is kept, unknown tables too, without NULs', async () => {
    const reply = await server.agent('/api/osquery/enroll', E1)
    expect(reply.json<{ node_key: string }>().node_key).toMatch(/^[A-Za-z0-9_-]{32,200}$/)
    const { items } = (await server.operator('GET', '/environments/default/nodes?q=web-e1')).json<{
      items: { id: string; platform: string; osqueryVersion: string }[]
    }>()
    expect(items).toMatchObject([{ hostname: 'web-e1', platform: 'ubuntu', osqueryVersion: '5.23.1' }])
    const node = (await server.operator('GET', `/environments/default/nodes/${items[0]?.id}`)).text
    expect(node).toContain('"a_table_of_the_future":{"some":"thing","padded":"x"}')
    expect(node).toContain('"firmware_type":"uefi"')
  })

  it('numbers in tables that we do not know keep all their digits', async () => {
    const body = `{"enroll_secret":"${ENROLL_SECRET}","host_identifier":"digits","platform_type":9,
      "host_details":{"t":{"n":9223372036854775807,"f":0.10}}}`
    expect((await server.agent('/api/osquery/enroll', body)).text).toMatch(/^\{"node_key":"/)
    const row = await server.env.DB.prepare(
      "SELECT host_details FROM nodes WHERE host_identifier = 'digits'",
    ).first()
    expect(row?.['host_details']).toBe('{"t":{"n":"9223372036854775807","f":"0.10"}}')
  })

  it('a host that names itself in no way is told retry: all of them would be one node', async () => {
    const body = { enroll_secret: ENROLL_SECRET, host_identifier: '' }
    expect((await server.agent('/api/osquery/enroll', body)).text).toBe('retry')
  })

  it('E2, Fleet 2: a wrong secret', async () => {
    const reply = await server.agent('/api/osquery/enroll', { ...E1, enroll_secret: 'wrong' })
    expect([reply.status, reply.text]).toEqual([200, NODE_INVALID])
  })

  it('E3: version 2.6, no host_details', async () => {
    const body = { enroll_secret: ENROLL_SECRET, host_identifier: 'old-box', platform_type: '9' }
    expect((await server.agent('/api/osquery/enroll', body)).text).toMatch(/^\{"node_key":"/)
  })

  it.each(['', '   ', '\n'])('E4, Fleet 3: the empty or blank secret %j', async (secret) => {
    const reply = await server.agent('/api/osquery/enroll', { ...E1, enroll_secret: secret })
    expect([reply.status, reply.text]).toEqual([200, NODE_INVALID])
  })

  it('E5: the same request twice within 50 ms gives two keys that are both valid, of one node', async () => {
    const body = { ...E1, host_details: { system_info: { hostname: 'twice', uuid: crypto.randomUUID() } } }
    const replies = await Promise.all([1, 2].map(() => server.agent('/api/osquery/enroll', body)))
    for (const reply of replies) {
      const key = reply.json<{ node_key: string }>().node_key
      expect((await server.agent('/api/osquery/config', { node_key: key })).text).toBe(STARTER_CONFIGURATION)
    }
    const { results } = await server.env.DB.prepare(
      "SELECT ordinal FROM nodes WHERE hostname = 'twice'",
    ).all()
    expect(results).toHaveLength(1)
  })

  it.each([
    '{"host_identifier":',
    '[]',
    '',
    `{"enroll_secret":"${'x'.repeat(300_000)}"}`,
    '"ok"',
    '7',
    'null',
  ])('E6: a malformed or oversize body is answered retry and changes nothing (%#)', async (body) => {
    const reply = await server.agent('/api/osquery/enroll', body)
    expect(reply.text).toBe('retry')
    expect(reply.status).toBeGreaterThanOrEqual(400)
  })

  it('E7: one host_identifier, different instance_id: two nodes that do not knock each other out', async () => {
    const host = (instance: string) => ({
      enroll_secret: ENROLL_SECRET,
      host_identifier: 'localhost',
      host_details: { osquery_info: { instance_id: instance } },
    })
    const keys: string[] = []
    for (const instance of ['i-1', 'i-2', 'i-1']) {
      keys.push(
        (await server.agent('/api/osquery/enroll', host(instance))).json<{ node_key: string }>().node_key,
      )
    }
    for (const key of keys) {
      expect((await server.agent('/api/osquery/config', { node_key: key })).text).toBe(STARTER_CONFIGURATION)
    }
    const { results } = await server.env.DB.prepare(
      "SELECT ordinal FROM nodes WHERE host_identifier = 'localhost'",
    ).all()
    expect(results).toHaveLength(2)
  })

  it('one hardware UUID with another instance id: the same node, flagged; both keys valid', async () => {
    const uuid = crypto.randomUUID()
    const host = (instance: string) => ({
      enroll_secret: ENROLL_SECRET,
      host_identifier: 'clone',
      host_details: { system_info: { hostname: 'clone', uuid }, osquery_info: { instance_id: instance } },
    })
    const first = (await server.agent('/api/osquery/enroll', host('a'))).json<{ node_key: string }>().node_key
    await server.agent('/api/osquery/enroll', host('b'))
    expect((await server.agent('/api/osquery/config', { node_key: first })).status).toBe(200)
    const { results } = await server.env.DB.prepare(
      "SELECT clone_suspected_at IS NOT NULL AS flagged FROM nodes WHERE hostname = 'clone'",
    ).all()
    expect(results).toEqual([{ flagged: 1 }])
  })

  it('osctrl: the same UUID in two environments is two nodes', async () => {
    const details = { system_info: { hostname: 'in-two', uuid: crypto.randomUUID() } }
    for (const secret of [ENROLL_SECRET, other.secret]) {
      const body = { enroll_secret: secret, host_identifier: 'in-two', host_details: details }
      expect((await server.agent('/api/osquery/enroll', body)).text).toMatch(/^\{"node_key":"/)
    }
    const { results } = await server.env.DB.prepare(
      "SELECT environment_id FROM nodes WHERE hostname = 'in-two'",
    ).all<{ environment_id: string }>()
    expect(new Set(results.map((row) => row.environment_id)).size).toBe(2)
  })
})

describe('config and the node key', () => {
  it('C1: the document, byte for byte the same each time', async () => {
    const replies = [1, 2, 3].map(() => server.agent('/api/osquery/config', { node_key: nodeKey }))
    for (const reply of await Promise.all(replies)) expect(reply.text).toBe(STARTER_CONFIGURATION)
  })

  it.each([
    ['C2: a key of another server', { node_key: FOREIGN_KEY }],
    ['C3: an empty key', { node_key: '' }],
    ['C8: no key', {}],
    ['a key that is no text', { node_key: 12_345 }],
  ])('%s is told node_invalid', async (_name, body) => {
    for (const path of ['config', 'distributed/read', 'log', 'distributed/write']) {
      const reply = await server.agent(`/api/osquery/${path}`, body)
      expect([path, reply.status, reply.text]).toEqual([path, 200, NODE_INVALID])
    }
  })

  it('a key with any one letter changed is told node_invalid', async () => {
    for (const at of [10, 40, nodeKey.length - 10, nodeKey.length - 1]) {
      for (const letter of ['A', 'B', 'w']) {
        const forged = nodeKey.slice(0, at) + letter + nodeKey.slice(at + 1)
        if (forged === nodeKey) continue
        expect([at, (await server.agent('/api/osquery/config', { node_key: forged })).text]).toEqual([
          at,
          NODE_INVALID,
        ])
      }
    }
  })

  it('a key of a format or key id that is not known yet is told retry, never node_invalid', async () => {
    for (const unknown of [nodeKey.replace('oen1-', 'oen9-'), `oen1-Ag${nodeKey.slice(7)}`]) {
      const reply = await server.agent('/api/osquery/config', { node_key: unknown })
      expect([reply.status, reply.text]).toEqual([503, 'retry'])
    }
  })

  it('C4: two valid but different keys: the header wins, counted', async () => {
    const header = { authorization: `NodeKey ${other.nodeKey}` }
    const reply = await server.agent('/api/osquery/config', { node_key: nodeKey }, header)
    expect(reply.text).toBe('{"schedule":{},"packs":{}}')
    // Counters go out with presence, every 15 s.
    const counted = await server.until(async () => {
      const environment = (await server.operator('GET', '/environments/other')).json<{
        counters: Record<string, number>
      }>()
      return environment.counters['two-valid-keys']
    })
    expect(counted).toBe(1)
  })

  it('Fleet 15, 16: a valid key in either place authenticates', async () => {
    const bogus = { authorization: 'NodeKey bogus' }
    expect((await server.agent('/api/osquery/config', { node_key: nodeKey }, bogus)).text).toBe(
      STARTER_CONFIGURATION,
    )
    const good = { authorization: `NodeKey ${nodeKey}` }
    const reply = await server.agent('/api/osquery/config', { node_key: FOREIGN_KEY }, good)
    expect(reply.text).toBe(STARTER_CONFIGURATION)
  })

  it.each(['NodeKey', 'nodekey', 'NODEKEY'])('Fleet 17: the header alone, scheme %s', async (scheme) => {
    const reply = await server.agent('/api/osquery/config', {}, { authorization: `${scheme} ${nodeKey}` })
    expect(reply.text).toBe(STARTER_CONFIGURATION)
  })

  it('another scheme is no node key', async () => {
    const reply = await server.agent('/api/osquery/config', {}, { authorization: `Bearer ${nodeKey}` })
    expect(reply.text).toBe(NODE_INVALID)
  })

  it.each(['node_key=abc', '{"node_key":', '[]', '"x"'])(
    'C7: the malformed body %j is told retry',
    async (body) => {
      for (const path of ['config', 'distributed/read']) {
        expect([path, (await server.agent(`/api/osquery/${path}`, body)).text]).toEqual([path, 'retry'])
      }
    },
  )

  it('Fleet 59: a body over the limit is told retry', async () => {
    const body = { node_key: nodeKey, padding: 'x'.repeat(260 * 1_024) }
    expect((await server.agent('/api/osquery/config', body)).text).toBe('retry')
  })

  it('needs no Content-Type and ignores unknown members', async () => {
    const body = JSON.stringify({ node_key: nodeKey, something: ['else'] })
    const reply = await server.agent('/api/osquery/config', body, { 'content-type': 'text/plain' })
    expect(reply.text).toBe(STARTER_CONFIGURATION)
  })

  it('R2: nothing to do is an object', async () => {
    expect((await server.agent('/api/osquery/distributed/read', { node_key: nodeKey })).text).toBe('{}')
  })
})

describe('paths', () => {
  const layouts = () => [
    '/api/osquery/config',
    '/api/v1/osquery/config',
    '/public/osquery/config',
    '/default/config',
    `/${other.id}/config`,
    `/${other.id.toUpperCase()}/config`,
    '/other/config',
  ]

  it('serves our own paths, the versioned alias, osctrl\u2019s and Zentral\u2019s', async () => {
    for (const path of layouts().slice(0, 4)) {
      expect([path, (await server.agent(path, { node_key: nodeKey })).text]).toEqual([
        path,
        STARTER_CONFIGURATION,
      ])
    }
    for (const path of layouts().slice(4)) {
      const reply = await server.agent(path, { node_key: other.nodeKey })
      expect([path, reply.text]).toEqual([path, '{"schedule":{},"packs":{}}'])
    }
  })

  it('osctrl: a key of another environment than the path names must enroll there', async () => {
    for (const endpoint of ['config', 'log', 'read', 'write']) {
      const reply = await server.agent(`/other/${endpoint}`, {
        node_key: nodeKey,
        log_type: 'result',
        data: [],
      })
      expect([endpoint, reply.text]).toEqual([endpoint, NODE_INVALID])
    }
    const begin = await server.agent('/other/init', { node_key: nodeKey, carve_id: 'x', block_count: 1 })
    expect(begin.text).not.toContain('session_id')
    const body = { enroll_secret: ENROLL_SECRET, host_identifier: 'x' }
    expect((await server.agent('/other/enroll', body)).text).toBe(NODE_INVALID)
  })

  it('osctrl: an environment that does not exist is told retry', async () => {
    for (const endpoint of ['enroll', 'config', 'log', 'read', 'write', 'init', 'block']) {
      const body = { node_key: nodeKey, enroll_secret: ENROLL_SECRET, log_type: 'result', data: [] }
      expect([endpoint, (await server.agent(`/nowhere/${endpoint}`, body)).text]).toEqual([endpoint, 'retry'])
    }
  })

  it('another method, and an unknown path under the agent routes, are told retry', async () => {
    for (const path of [
      ...layouts().slice(0, 4),
      '/api/osquery/nothing',
      '/public/osquery/x',
      '/some/where',
      '/',
    ]) {
      for (const method of ['GET', 'PUT', 'DELETE', 'OPTIONS']) {
        const response = await server.harness.fetch(path, { method, redirect: 'manual' })
        expect([method, path, await response.text()]).toEqual([method, path, 'retry'])
        expect(response.status).toBeGreaterThanOrEqual(400)
      }
      const head = await server.harness.fetch(path, { method: 'HEAD' })
      expect(head.status).toBeGreaterThanOrEqual(400)
    }
  })

  it('health says that it is up, and nothing else', async () => {
    const response = await server.harness.fetch('/health')
    expect([response.status, await response.text()]).toEqual([200, '{"ok":true,"version":"0.1.0"}'])
  })
})

describe('a deleted node', () => {
  it('is told node_invalid, also by keys issued before; it may enroll anew as another node', async () => {
    const details = { system_info: { hostname: 'deleted', uuid: crypto.randomUUID() } }
    const before = await server.enroll('deleted', details)
    const list = await server.operator('GET', '/environments/default/nodes?q=deleted')
    const [node] = list.json<{ items: { id: string }[] }>().items
    expect((await server.operator('DELETE', `/environments/default/nodes/${node?.id}`)).status).toBe(204)
    await server.until(async () => {
      const reply = await server.agent('/api/osquery/config', { node_key: before })
      return reply.text === NODE_INVALID
    })
    const after = await server.enroll('deleted', details)
    expect((await server.agent('/api/osquery/config', { node_key: after })).text).toBe(STARTER_CONFIGURATION)
    expect((await server.agent('/api/osquery/config', { node_key: before })).text).toBe(NODE_INVALID)
    const again = await server.operator('GET', '/environments/default/nodes?q=deleted')
    expect(again.json<{ items: { id: string }[] }>().items.map(({ id }) => id)).not.toContain(node?.id)
  })
})
