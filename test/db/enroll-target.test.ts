import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { upsertNode } from '../../src/db/node-upsert.ts'
import { describeHost } from '../../src/fleet/identity.ts'
import { policyOf, type StoredIdentityPolicy } from '../../src/fleet/identity-policy.ts'
import { startServer, type TestServer } from '../support/harness.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

let environmentId = ''
let nowMs = 1_700_000_000_000
beforeEach(() => {
  environmentId = crypto.randomUUID()
})

interface Machine {
  uuid?: string
  serial?: string
  instance?: string
  host?: string
}

/** Enrolls a machine; the ordinal of its node. */
async function enroll(machine: Machine, policy: StoredIdentityPolicy = {}, quota?: number): Promise<number> {
  nowMs += 1_000
  return (await enrolled(machine, policy, quota)).ordinal
}

async function enrolled(machine: Machine, policy: StoredIdentityPolicy = {}, quota?: number) {
  const { uuid = 'u-1', serial = '', instance = 'i-1', host = 'box' } = machine
  const details = {
    system_info: { uuid, hardware_serial: serial },
    osquery_info: { instance_id: instance },
  }
  const secret = { hash: 'h', environmentId, id: `secret-of-${environmentId}`, rules: quota ? { quota } : {} }
  const node = await upsertNode(server.env.DB, {
    environmentId,
    host: describeHost(host, '9', details, policyOf(policy)),
    secret,
    nowMs,
  })
  if (!node.ok) throw new Error(node.reason)
  return node.value
}

async function set(ordinal: number, columns: string): Promise<void> {
  const sql = `UPDATE nodes SET ${columns} WHERE environment_id = ?1 AND ordinal = ?2`
  await server.env.DB.prepare(sql).bind(environmentId, ordinal).run()
}

interface Row {
  ordinal: number
  identity: string
  cloneOf: number | null
  clones: string | null
}

async function rows(): Promise<Row[]> {
  const sql = `SELECT ordinal, identity, clones, (SELECT ordinal FROM nodes AS o WHERE o.id = n.clone_of) AS cloneOf
    FROM nodes AS n WHERE environment_id = ?1 AND deleted_at IS NULL ORDER BY ordinal`
  return (await server.env.DB.prepare(sql).bind(environmentId).all<Row>()).results
}

describe('machines of one identity', () => {
  it('are one node until they are split', async () => {
    expect(await enroll({ instance: 'a' })).toBe(0)
    expect(await enroll({ instance: 'b' })).toBe(0)
  })

  it('are told apart by instance from then on, in any order and again and again', async () => {
    await enroll({ instance: 'a' })
    await enroll({ instance: 'b' })
    await set(0, `clones = 'split', split_by = 'instance'`)
    expect(await enroll({ instance: 'a' })).toBe(1)
    expect(await enroll({ instance: 'b' })).toBe(0)
    expect(await enroll({ instance: 'c' })).toBe(2)
    expect(await enroll({ instance: 'a' })).toBe(1)
    expect(await rows()).toEqual([
      { ordinal: 0, identity: 'uuid:u-1', cloneOf: null, clones: 'split' },
      { ordinal: 1, identity: 'uuid:u-1#a', cloneOf: 0, clones: 'split' },
      { ordinal: 2, identity: 'uuid:u-1#c', cloneOf: 0, clones: 'split' },
    ])
  })

  it('stay apart when the node that they were split from is deleted', async () => {
    await enroll({ instance: 'b' })
    await set(0, `clones = 'split', split_by = 'instance'`)
    await enroll({ instance: 'a' })
    await set(0, 'deleted_at = 1')
    expect(await enroll({ instance: 'a' })).toBe(1)
    expect(await enroll({ instance: 'b' })).toBe(2)
    expect(await enroll({ instance: 'a' })).toBe(1)
  })

  it('that share the osquery database too are told apart by what they call themselves', async () => {
    await enroll({ host: 'one' })
    await set(0, `clones = 'split', split_by = 'host'`)
    expect(await enroll({ host: 'two' })).toBe(1)
    expect(await enroll({ host: 'one' })).toBe(0)
    expect(await enroll({ host: 'two' })).toBe(1)
    expect(await enroll({ instance: 'other', host: 'two' })).toBe(2)
    expect((await rows()).map(({ identity }) => identity)).toEqual([
      'uuid:u-1',
      'uuid:u-1#i-1@two',
      'uuid:u-1#other',
    ])
  })

  it('that share the database but not the hardware are linked', async () => {
    await enroll({ uuid: 'u-1' })
    await set(0, `clones = 'split', split_by = 'host'`)
    expect(await enroll({ uuid: 'u-2' })).toBe(1)
    expect((await rows())[1]).toEqual({ ordinal: 1, identity: 'uuid:u-2', cloneOf: 0, clones: 'split' })
  })

  it('are the node that an operator merged them into', async () => {
    await enroll({ instance: 'b' })
    await set(0, `clones = 'split', split_by = 'instance'`)
    await enroll({ instance: 'a' })
    await enroll({ uuid: 'u-2', instance: 'x' })
    await server.env.DB.prepare(
      `INSERT INTO node_aliases SELECT environment_id, identity, (SELECT id FROM nodes
        WHERE environment_id = ?1 AND ordinal = 2) FROM nodes WHERE environment_id = ?1 AND ordinal = 1`,
    )
      .bind(environmentId)
      .run()
    await set(1, 'deleted_at = 1')
    expect(await enroll({ instance: 'a' })).toBe(2)
    expect(await enroll({ instance: 'b' })).toBe(0)
    expect((await rows()).map(({ ordinal, identity }) => [ordinal, identity])).toEqual([
      [0, 'uuid:u-1'],
      [2, 'uuid:u-2'],
    ])
  })

  it.each([
    ['after the split are that node', 1, 2, 0],
    ['before it are told apart, too', 2, 1, 2],
  ])('that were merged into one of them %s', async (_when, splitAtMs, mergedAtMs, ordinal) => {
    await enroll({ instance: 'b' })
    await set(0, `clones = 'split', split_by = 'instance', clones_found_at = ${splitAtMs}`)
    await enroll({ uuid: 'u-2', instance: 'x' })
    await server.env.DB.prepare(
      `INSERT INTO node_aliases SELECT environment_id, 'uuid:u-2', id FROM nodes
        WHERE environment_id = ?1 AND ordinal = 0`,
    )
      .bind(environmentId)
      .run()
    const original = `(SELECT id FROM nodes WHERE environment_id = '${environmentId}' AND ordinal = 0)`
    await set(1, `deleted_at = ${mergedAtMs}, merged_into = ${original}`)
    expect(await enroll({ uuid: 'u-2', instance: 'x' })).toBe(ordinal)
    expect(await enroll({ uuid: 'u-2', instance: 'x' })).toBe(ordinal)
  })

  it('that tell no instance stay what they are', async () => {
    await enroll({ instance: '' })
    await set(0, `clones = 'split', split_by = 'instance'`)
    expect(await enroll({ instance: '' })).toBe(0)
  })

  it('get in beyond the quota: they were in before', async () => {
    await enroll({ instance: 'b' }, {}, 1)
    await set(0, `clones = 'split', split_by = 'instance'`)
    expect(await enroll({ instance: 'a' }, {}, 1)).toBe(1)
    await expect(enroll({ uuid: 'u-9', instance: 'x' }, {}, 1)).rejects.toThrow('quota')
  })
})

describe('a node of before the policy was changed', () => {
  const machine = { uuid: 'u-1', serial: 'sn-1', instance: 'i-1', host: 'box' }

  it.each<[StoredIdentityPolicy, string]>([
    [{ order: ['serial'] }, 'serial:sn-1'],
    [{ order: ['instance'] }, 'instance:i-1'],
    [{ order: ['host'] }, 'host:box'],
    [{ placeholderUuids: ['u-1'] }, 'serial:sn-1'],
  ])('is found under %j and gets its new identity', async (policy, identity) => {
    await enroll(machine)
    expect(await enroll(machine, policy)).toBe(0)
    expect((await rows())[0]?.identity).toBe(identity)
    expect(await enroll(machine)).toBe(0)
    expect((await rows())[0]?.identity).toBe('uuid:u-1')
  })

  it('is the machine that told it the same last: others that shared it get nodes of their own', async () => {
    await enroll({ ...machine, instance: 'a' })
    await enroll({ ...machine, instance: 'b' })
    expect(await enroll({ ...machine, instance: 'a' }, { order: ['instance'] })).toBe(1)
    expect(await enroll({ ...machine, instance: 'b' }, { order: ['instance'] })).toBe(0)
    expect(await enroll({ ...machine, instance: 'a' }, { order: ['instance'] })).toBe(1)
  })

  it('is found by what it was split into', async () => {
    await enroll({ ...machine, instance: 'b' })
    await set(0, `clones = 'split', split_by = 'instance'`)
    await enroll({ ...machine, instance: 'a' })
    expect(await enroll({ ...machine, instance: 'a' }, { order: ['instance'] })).toBe(1)
    expect(await enroll({ ...machine, instance: 'b' }, { order: ['instance'] })).toBe(0)
  })

  it('is none of hosts that only agree in a fact that names nobody any more', async () => {
    await enroll({ uuid: 'u-1', serial: 'sn-1', instance: 'a' })
    expect(await enroll({ uuid: 'u-2', serial: 'sn-1', instance: 'b' })).toBe(1)
  })
})

describe('the second that a key is of', () => {
  const secondOf = async (machine: Machine) => (await enrolled(machine)).issuedAtS

  it('is that of the enroll, and the same for one that was sent twice', async () => {
    expect(await secondOf({})).toBe(Math.floor(nowMs / 1_000))
    expect(await secondOf({})).toBe(Math.floor(nowMs / 1_000))
  })

  it('is another for each of the machines that enroll as one node within a second', async () => {
    const first = await secondOf({ instance: 'a' })
    expect(await secondOf({ instance: 'b' })).toBe(first + 1)
    expect(await secondOf({ instance: 'b', host: 'other' })).toBe(first + 2)
    expect(await secondOf({ instance: 'b', host: 'other' })).toBe(first + 2)
  })

  it('is never one whose keys do not count, whatever the clock of the isolate says', async () => {
    await enrolled({})
    await set(0, `key_minimum_s = ${Math.floor(nowMs / 1_000) + 40}`)
    expect(await secondOf({})).toBe(Math.floor(nowMs / 1_000) + 40)
  })
})

describe('the one statement of enroll', () => {
  it('looks nodes up by their indexes: it costs the same in a fleet of any size', async () => {
    let explained: D1PreparedStatement | undefined
    const explaining = {
      prepare: (sql: string) => ({
        bind(...values: unknown[]) {
          explained = server.env.DB.prepare(`EXPLAIN QUERY PLAN ${sql}`).bind(...values)
          return { first: async () => ({ isPending: 0 }) }
        },
      }),
    } as unknown as D1Database
    const host = describeHost('h', '9', {})
    await upsertNode(explaining, { environmentId, host, secret: { hash: 'h', environmentId }, nowMs })
    const steps = (await explained?.all<{ detail: string }>())?.results.map(({ detail }) => detail) ?? []
    expect(steps).toContain('SEARCH nodes USING INDEX nodes_by_identity (environment_id=? AND identity=?)')
    expect(steps.filter((step) => /^SCAN (nodes|n|o)\b(?! VIRTUAL)/.test(step))).toEqual([])
    // The one look at an environment's nodes as a whole: the end of an index, for the highest ordinal.
    const whole = steps.filter((step) => /\(environment_id=\?\)/.test(step))
    expect(whole).toEqual(['SEARCH nodes USING COVERING INDEX sqlite_autoindex_nodes_2 (environment_id=?)'])
  })
})
