import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { REKEYED_AT_ONCE } from '../../src/db/identity-policies.ts'
import { rekeyMore } from '../../src/db/rekey-duty.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { created, makeEnvironment, problemOf } from '../support/operator.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

interface Preview {
  nodes: number
  renamed: number
  sharedIdentities: number
  sharingNodes: number
  examples: { identity: string; nodes: number; hostnames: string[] }[]
}

interface Host {
  uuid?: string
  serial?: string
  instance?: string
  name?: string
}

let environments = 0
async function environment() {
  environments += 1
  const name = `identity-${environments}`
  const { id, secret } = await makeEnvironment(server, name)
  async function enroll({ uuid = 'u-1', serial = '', instance = 'i-1', name: host = 'box' }: Host) {
    return server.until(async () => {
      const reply = await server.agent('/api/osquery/enroll', {
        enroll_secret: secret,
        host_identifier: host,
        host_details: {
          system_info: { hostname: host, uuid, hardware_serial: serial },
          osquery_info: { instance_id: instance },
        },
      })
      return reply.text.includes('node_key')
    })
  }
  async function rows() {
    const sql = `SELECT ordinal, identity FROM nodes WHERE environment_id = ?1 ORDER BY ordinal`
    const { results } = await server.env.DB.prepare(sql).bind(id).all<{ ordinal: number; identity: string }>()
    return results.map(({ ordinal, identity }) => `${ordinal} ${identity}`)
  }
  /** Isolates know a policy some seconds later: until then this host is called as before. */
  async function inForce(host: Host, first: string) {
    await server.until(async () => {
      await enroll(host)
      return (await rows())[0] === first
    })
  }
  return { id, inForce, path: `/environments/${name}/identity`, enroll, rows }
}

describe('an identity policy', () => {
  it('is the usual one until an operator says otherwise', async () => {
    const { path } = await environment()
    expect(created(await server.operator('GET', path), 200)).toMatchObject({
      order: ['uuid', 'serial', 'instance', 'host'],
      placeholderUuids: [],
      placeholderSerials: [],
      clones: 'split',
      pendingNodes: false,
    })
  })

  it('that changes keeps every node, which is found by what it told', async () => {
    const { path, enroll, rows, inForce } = await environment()
    await enroll({ uuid: 'u-1', serial: 's-1', instance: 'a' })
    await enroll({ uuid: 'u-2', serial: 's-2', instance: 'b' })
    await enroll({ uuid: 'u-3', instance: 'c' })
    const changed = created(await server.operator('PATCH', path, { order: ['serial'] }), 200)
    expect(changed).toMatchObject({ order: ['serial', 'uuid', 'instance', 'host'], live: true })
    expect(await rows()).toEqual(['0 serial:s-1', '1 serial:s-2', '2 uuid:u-3'])
    // A mainboard was replaced, a database lost: the serial says that it is the same machine.
    await inForce({ uuid: 'u-1', serial: 's-1', instance: 'a' }, '0 serial:s-1')
    await enroll({ uuid: 'u-9', serial: 's-1', instance: 'new' })
    await server.operator('PATCH', path, { order: ['instance'] })
    expect(await rows()).toEqual(['0 instance:new', '1 instance:b', '2 instance:c'])
  })

  it('is previewed: how many nodes share an identity under it, and which', async () => {
    const { path, enroll, rows } = await environment()
    for (const instance of ['a', 'b', 'c'])
      await enroll({ uuid: `u-${instance}`, serial: 'same', instance, name: instance })
    await enroll({ uuid: 'u-4', serial: 'own', instance: 'd' })
    const before = await rows()
    const preview = created<Preview>(
      await server.operator('POST', `${path}/preview`, { order: ['serial'] }),
      200,
    )
    expect(preview).toEqual({
      nodes: 4,
      renamed: 4,
      sharedIdentities: 1,
      sharingNodes: 3,
      examples: [{ identity: 'serial:same', nodes: 3, hostnames: ['a', 'b', 'c'] }],
    })
    expect(await rows()).toEqual(before)
    const set = created<{ preview: Preview }>(
      await server.operator('PATCH', path, { order: ['serial'] }),
      200,
    )
    expect(set.preview).toEqual(preview)
    // The one that enrolled last has the identity; the others stay what they are.
    expect(await rows()).toEqual(['0 uuid:u-a', '1 uuid:u-b', '2 serial:same', '3 serial:own'])
  })

  it('takes a fleet\u2019s own placeholders, in any case', async () => {
    const { path, enroll, rows, inForce } = await environment()
    await enroll({ uuid: 'BAD-BATCH', serial: 's-1' })
    const body = { placeholderUuids: [' Bad-Batch ', 'bad-batch'] }
    expect(created(await server.operator('PATCH', path, body), 200)).toMatchObject({
      placeholderUuids: ['bad-batch'],
    })
    await inForce({ uuid: 'BAD-BATCH', serial: 's-1' }, '0 serial:s-1')
    await enroll({ uuid: 'BAD-BATCH', serial: 's-2' })
    expect(await rows()).toEqual(['0 serial:s-1', '1 serial:s-2'])
    // What is not named stays.
    await server.operator('PATCH', path, { clones: 'flag' })
    expect(created(await server.operator('GET', path), 200)).toMatchObject({
      placeholderUuids: ['bad-batch'],
      clones: 'flag',
    })
  })

  it('leaves what was split apart', async () => {
    const { id, path, enroll, rows } = await environment()
    await enroll({ instance: 'b', serial: 's-1' })
    await server.env.DB.prepare("UPDATE nodes SET split_by = 'instance' WHERE environment_id = ?1")
      .bind(id)
      .run()
    await enroll({ instance: 'a', serial: 's-1' })
    expect(await rows()).toEqual(['0 uuid:u-1', '1 uuid:u-1#a'])
    const preview = await server.operator('POST', `${path}/preview`, {})
    expect(preview.json()).toMatchObject({ renamed: 0, sharedIdentities: 0 })
    await server.operator('PATCH', path, { order: ['instance'] })
    expect(await rows()).toEqual(['0 instance:b', '1 instance:a'])
  })

  it('reaches the nodes of a large fleet minute by minute', async () => {
    const { id, path, enroll, rows } = await environment()
    await enroll({ uuid: 'u-1', instance: 'a' })
    await enroll({ uuid: 'u-2', instance: 'b' })
    await server.env.DB.prepare('UPDATE nodes SET ordinal = ?2 WHERE environment_id = ?1 AND ordinal = 1')
      .bind(id, 3 * REKEYED_AT_ONCE)
      .run()
    const set = created(await server.operator('PATCH', path, { order: ['instance'] }), 200)
    expect(set).toMatchObject({ pendingNodes: true })
    expect(await rows()).toEqual(['0 instance:a', '60000 uuid:u-2'])
    await rekeyMore(server.env)
    expect(await rows()).toEqual(['0 instance:a', '60000 instance:b'])
    expect(created(await server.operator('GET', path), 200)).toMatchObject({ pendingNodes: false })
  })

  it('is audited', async () => {
    const { path, id } = await environment()
    await server.operator('PATCH', path, { order: ['host'] })
    const audit = await server.operator('GET', `/audit?environment=${id}&limit=1`)
    expect(audit.json<{ items: unknown[] }>().items[0]).toMatchObject({
      action: 'identity.set',
      detail: { policy: { order: ['host', 'uuid', 'serial', 'instance'] }, clones: 'split', sharingNodes: 0 },
    })
  })

  it.each<[object, string]>([
    [{ order: [] }, '/order'],
    [{ order: ['uuid', 'uuid'] }, '/order'],
    [{ order: ['mac'] }, '/order/0'],
    [{ placeholderUuids: [' '] }, '/placeholderUuids/0'],
    [{ placeholderSerials: ['x'.repeat(129)] }, '/placeholderSerials/0'],
    [{ placeholderSerials: Array.from({ length: 201 }, (_, index) => `s${index}`) }, '/placeholderSerials'],
    [{ clones: 'merge' }, '/clones'],
    [{ mode: 'uuid' }, '/mode'],
  ])('refuses %j', async (body, pointer) => {
    for (const [method, path] of [
      ['PATCH', '/environments/default/identity'],
      ['POST', '/environments/default/identity/preview'],
    ] as const)
      expect(problemOf(await server.operator(method, path, body))).toEqual({
        status: 422,
        pointers: [pointer],
      })
  })
})
