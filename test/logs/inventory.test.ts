/** Daily snapshots through the real pipeline: what they change in the inventory, at what cost, and what failing costs. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { inventoryNameOf, type InventoryTable } from '../../src/config/built-in.ts'
import { addressOfKey } from '../../src/lib/ip-address.ts'
import { utf8 } from '../../src/lib/bytes.ts'
import { InventoryWatch } from '../../src/logs/inventory-watch.ts'
import { ENROLL_SECRET, startServer, type TestServer } from '../support/harness.ts'
import { created } from '../support/operator.ts'
import { idsOf, logBody, originAt, type LogList } from './support.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer({ entry: 'test/faults/entry.ts' })
})
afterAll(() => server.close())

type Row = Record<string, string>

const SYSTEM = (hostname: string, uuid: string): Row => ({
  hostname,
  uuid,
  hardware_serial: `SN-${hostname}`,
  cpu_brand: 'a cpu',
})
const OS: Row = { platform: 'ubuntu', name: 'Ubuntu', version: '24.04' }
const OSQUERY: Row = { version: '5.23.1', build_platform: 'linux', instance_id: 'i-1', pid: '7' }

interface Host {
  nodeKey: string
  nodeId: string
  environmentId: string
  uuid: string
}

async function enroll(hostname: string, uuid: string = crypto.randomUUID()): Promise<Host> {
  const reply = await server.agent('/api/osquery/enroll', {
    enroll_secret: ENROLL_SECRET,
    host_identifier: hostname,
    platform_type: '9',
    host_details: { system_info: SYSTEM(hostname, uuid), os_version: OS, osquery_info: OSQUERY },
  })
  const nodeKey = reply.json<{ node_key: string }>().node_key
  return { nodeKey, uuid, ...idsOf(nodeKey) }
}

function line(table: InventoryTable, rows: readonly Row[]): string {
  const name = inventoryNameOf(table)
  return JSON.stringify({
    snapshot: rows,
    action: 'snapshot',
    name,
    hostIdentifier: 'h',
    unixTime: Date.now(),
  })
}

async function send({ nodeKey }: Host, ...lines: string[]): Promise<void> {
  const reply = await server.agent('/api/osquery/log', logBody(nodeKey, 'result', lines))
  expect(reply.text).toBe('{}')
}

interface NodeRow {
  hostname: string
  platform: string
  osquery_version: string
  hardware_uuid: string
  hardware_uuid_seen: string
  hardware_serial: string
  host_details: string
  inventory_at: string
}

async function rowOf({ nodeId }: Host): Promise<NodeRow> {
  const row = await server.env.DB.prepare('SELECT * FROM nodes WHERE id = ?').bind(nodeId).first<NodeRow>()
  if (row === null) throw new Error('the node is there')
  return row
}

async function tracesOf({ nodeId }: Host, open = true): Promise<string[]> {
  const { results } = await server.env.DB.prepare(
    `SELECT t.kind, t.value, t.to_at FROM node_traces AS t JOIN nodes AS n
       ON n.environment_id = t.environment_id AND n.ordinal = t.ordinal
     WHERE n.id = ? AND t.kind <> 'public' ORDER BY t.kind, t.value`,
  )
    .bind(nodeId)
    .all<{ kind: string; value: string; to_at: number | null }>()
  return results
    .filter(({ to_at: toAt }) => !open || toAt === null)
    .map(({ kind, value }) => `${kind} ${addressOfKey(value)}`)
}

async function nodeFacts(host: Host) {
  return created<Record<string, unknown>>(
    await server.operator('GET', `/environments/default/nodes/${host.nodeId}`),
    200,
  )
}

describe('the inventory', () => {
  it('is true after a rename, an upgrade of the system and a new serial', async () => {
    const host = await enroll('before')
    const system = { ...SYSTEM('after', host.uuid), hardware_serial: 'SN-new' }
    const upgraded = { ...OS, platform: 'debian', version: '13' }
    await send(host, line('system_info', [system]), line('os_version', [upgraded]))
    await server.until(async () => (await rowOf(host)).hostname === 'after')
    expect(await nodeFacts(host)).toMatchObject({
      hostname: 'after',
      platform: 'debian',
      hardwareSerial: 'SN-new',
      hostDetails: { os_version: upgraded, system_info: system, osquery_info: OSQUERY },
    })
  })

  it('knows who is logged in, and every address and MAC, and who is not there any more', async () => {
    const host = await enroll('traced')
    const addresses = [
      { interface: 'lo', address: '127.0.0.1', mask: '255.0.0.0', mac: '00:00:00:00:00:00' },
      { interface: 'eth0', address: '10.9.8.7', mask: '255.0.0.0', mac: '02:00:00:00:00:AA' },
    ]
    await send(
      host,
      line('interface_addresses', addresses),
      line('logged_in_users', [{ user: 'Alice', type: 'user' }]),
    )
    const expected = ['interface 10.9.8.7', 'mac 02:00:00:00:00:aa', 'user alice']
    await server.until(async () => (await tracesOf(host)).length === 3)
    expect(await tracesOf(host)).toEqual(expected)

    await send(host, line('logged_in_users', []))
    await server.until(async () => (await tracesOf(host)).length === 2)
    expect(await tracesOf(host, false)).toEqual(expected)
  })

  it('flags another hardware UUID, and leaves who the node is to enroll', async () => {
    const host = await enroll('new-board')
    const other = crypto.randomUUID()
    await send(host, line('system_info', [SYSTEM('new-board', other)]))
    await server.until(async () => (await rowOf(host)).hardware_uuid_seen === other)
    expect((await rowOf(host)).hardware_uuid).toBe(host.uuid)
  })

  it('is no business of other lines under such a name', async () => {
    const host = await enroll('differential')
    const name = inventoryNameOf('logged_in_users')
    const added = JSON.stringify({ name, action: 'added', columns: { user: 'mallory', type: 'user' } })
    await send(host, added, line('logged_in_users', [{ user: 'alice', type: 'user' }]))
    await server.until(async () => (await tracesOf(host)).length > 0)
    expect(await tracesOf(host)).toEqual(['user alice'])
  })
})

/** A batch of the consumer over a D1 whose calls are counted; `before` comes between reading and writing. */
function counted(before: () => Promise<unknown> = async () => undefined) {
  const calls: string[] = []
  const db = {
    prepare(sql: string) {
      const statement = server.env.DB.prepare(sql)
      return { bind: (...values: unknown[]) => boundStatement(statement.bind(...values)) }
    },
    async batch(statements: { real: D1PreparedStatement }[]) {
      calls.push(`batch of ${statements.length}`)
      await before()
      return server.env.DB.batch(statements.map(({ real }) => real))
    },
  }
  function boundStatement(real: D1PreparedStatement) {
    return {
      real,
      all() {
        calls.push('select')
        return real.all()
      },
    }
  }
  return { calls, watch: () => new InventoryWatch(db as unknown as D1Database) }
}

function see(
  watch: InventoryWatch,
  host: Host,
  table: InventoryTable,
  rows: readonly Row[],
  receivedAtMs = Date.now(),
  index = 0,
): void {
  watch.see({
    origin: originAt(host.environmentId, host.nodeId, receivedAtMs),
    type: 'snapshot',
    name: inventoryNameOf(table),
    index,
    bytes: utf8(line(table, rows)),
  })
}

describe('a batch of the consumer', () => {
  it('without snapshots of the inventory asks D1 nothing', async () => {
    const { calls, watch } = counted()
    const batch = watch()
    batch.see({ origin: originAt('e', 'n', 1), type: 'result', name: 'pack/a', index: 0, bytes: utf8('{}') })
    await batch.finish()
    expect(calls).toEqual([])
  })

  it('of fifty nodes on a day like any other: one look, no write', async () => {
    const hosts: Host[] = []
    for (let at = 0; at < 50; at += 1) hosts.push(await enroll(`quiet-${at}`))
    const { calls, watch } = counted()
    const day = async () => {
      const batch = watch()
      for (const [at, host] of hosts.entries()) {
        see(batch, host, 'system_info', [SYSTEM(`quiet-${at}`, host.uuid)])
        see(batch, host, 'os_version', [OS])
        see(batch, host, 'osquery_info', [{ ...OSQUERY, pid: String(at) }])
        see(batch, host, 'logged_in_users', [{ user: 'alice', type: 'user' }])
        see(batch, host, 'interface_addresses', [{ address: `10.0.0.${at}`, mac: '02:00:00:00:00:01' }])
      }
      await batch.finish()
    }
    await day()
    // Two statements for traces, one for rows.
    expect(calls.splice(0)).toEqual(['select', 'batch of 3'])
    await day()
    await day()
    expect(calls).toEqual(['select', 'select'])
  })

  it('takes the newest of a table, and nothing older than what is known: by server time', async () => {
    const host = await enroll('newest')
    const { watch } = counted()
    const nowMs = Date.now()
    const renamed = (hostname: string) => [SYSTEM(hostname, host.uuid)]
    const first = watch()
    see(first, host, 'system_info', renamed('c'), nowMs + 2, 0)
    see(first, host, 'system_info', renamed('d'), nowMs + 2, 1)
    see(first, host, 'system_info', renamed('b'), nowMs + 1, 5)
    await first.finish()
    expect((await rowOf(host)).hostname).toBe('d')
    const again = watch()
    see(again, host, 'system_info', renamed('a'), nowMs + 1)
    await again.finish()
    expect((await rowOf(host)).hostname).toBe('d')
  })

  it('gives way to what came between reading and writing, and looks again', async () => {
    const host = await enroll('outrun')
    const laterMs = Date.now() + 60_000
    let races = 1
    const { calls, watch } = counted(async () => {
      if (races-- <= 0) return
      const other = new InventoryWatch(server.env.DB)
      see(other, host, 'system_info', [SYSTEM('newer', host.uuid)], laterMs)
      see(other, host, 'logged_in_users', [{ user: 'newer', type: 'user' }], laterMs)
      await other.finish()
    })
    const batch = watch()
    see(batch, host, 'system_info', [SYSTEM('older', host.uuid)])
    see(batch, host, 'os_version', [{ ...OS, version: '24.10' }])
    see(batch, host, 'logged_in_users', [{ user: 'older', type: 'user' }])
    await batch.finish()
    const row = await rowOf(host)
    expect([row.hostname, JSON.parse(row.host_details)]).toEqual([
      'newer',
      expect.objectContaining({ os_version: { ...OS, version: '24.10' } }),
    ])
    expect(await tracesOf(host)).toEqual(['user newer'])
    expect(calls.filter((call) => call === 'select')).toHaveLength(2)
  })

  it('knows nothing of nodes that were deleted', async () => {
    const host = await enroll('gone')
    await server.env.DB.prepare('UPDATE nodes SET deleted_at = 1 WHERE id = ?').bind(host.nodeId).run()
    const { watch } = counted()
    const batch = watch()
    see(batch, host, 'system_info', [SYSTEM('back', host.uuid)])
    await batch.finish()
    expect((await rowOf(host)).hostname).toBe('gone')
  })

  it('joins a snapshot that comes as a line for each row', async () => {
    const host = await enroll('exploded')
    const { watch } = counted()
    const batch = watch()
    for (const [index, user] of ['alice', 'bob'].entries()) {
      const name = inventoryNameOf('logged_in_users')
      const entry = { name, action: 'snapshot', unixTime: 5, columns: { user, type: 'user' } }
      const origin = originAt(host.environmentId, host.nodeId, 1_000)
      batch.see({ origin, type: 'snapshot', name, index, bytes: utf8(JSON.stringify(entry)) })
    }
    await batch.finish()
    expect(await tracesOf(host)).toEqual(['user alice', 'user bob'])
  })
})

describe('with D1 away', () => {
  it('the line is archived all the same, and the inventory heals with the next snapshot', async () => {
    const host = await enroll('d1-away')
    const faults = (body: object) =>
      server.harness.fetch('/test/faults', { method: 'POST', body: JSON.stringify(body) })
    await faults({ DB: 'throw' })
    await send(host, line('system_info', [SYSTEM('lost-name', host.uuid)]))
    try {
      await server.until(async () => {
        const listed = await server.env.ARCHIVE.list({ prefix: 'logs/' })
        return (
          listed.objects.length > 0 &&
          (await server.env.ARCHIVE.list({ prefix: 'inbox/' })).objects.length === 0
        )
      })
    } finally {
      await faults({})
    }
    const found = await server.until(async () => {
      const reply = await server.operator(
        'GET',
        `/environments/default/logs?node=${host.nodeId}&type=snapshot`,
      )
      const { items } = reply.json<LogList>()
      return items.length > 0 ? items : null
    })
    expect(found[0]?.line?.['name']).toBe(inventoryNameOf('system_info'))
    expect((await rowOf(host)).hostname).toBe('d1-away')
    await send(host, line('system_info', [SYSTEM('healed', host.uuid)]))
    await server.until(async () => (await rowOf(host)).hostname === 'healed')
  })
})
