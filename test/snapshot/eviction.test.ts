/**
 * What snapshots' objects keep over an eviction, mid-work. A file of its own: an object can be evicted only while the
 * test holds no stub of it, so all goes through the Worker and the object's storage until the end.
 */

import { afterAll, beforeAll, expect, it } from 'vitest'
import { NodeSet } from '../../src/fleet/node-set.ts'
import { textOf } from '../../src/lib/bytes.ts'
import type { Directory, EnvironmentHead } from '../../src/snapshot/head.ts'
import { DIRECTORY_NAME } from '../../src/snapshot/keys.ts'
import { ENROLL_SECRET, STARTER_CONFIGURATION, startServer, type TestServer } from '../support/harness.ts'
import { created } from '../support/operator.ts'
import { defaultEnvironmentId, ordinalOf } from '../support/queries.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

interface Opened {
  id: string
  live: boolean
  revision: number
}

async function open(sql: string): Promise<Opened> {
  const body = { sql, targets: { all: true }, expiresInSeconds: 600 }
  return created<Opened>(await server.operator('POST', '/environments/default/queries', body))
}

async function rowsOf<Row extends object>(
  binding: 'ENVIRONMENT' | 'DIRECTORY',
  name: string,
  sql: string,
): Promise<Row[]> {
  const storage = await server.worker.getDurableObjectStorage(binding, { name })
  return (await storage.exec(sql)) as Row[]
}

async function storedHead(name: string): Promise<EnvironmentHead> {
  const [row] = await rowsOf<{ json: string }>('ENVIRONMENT', name, 'SELECT json FROM head')
  return JSON.parse(row?.json ?? 'null') as EnvironmentHead
}

it('an environment keeps its head, parts and reports, and goes on from them', async () => {
  const nodeKeys = [await server.enroll('evicted-1'), await server.enroll('evicted-2')]
  const environmentId = await defaultEnvironmentId(server)
  const evict = () => server.evict('ENVIRONMENT', { name: environmentId })
  const first = await open('SELECT 1 AS first')
  expect(first.live).toBe(true)
  const before = await storedHead(environmentId)
  await evict()
  expect(await storedHead(environmentId)).toEqual(before)

  // A query that is opened now stands beside the one from before.
  const second = await open('SELECT 2 AS second')
  await evict()
  const both = await storedHead(environmentId)
  expect([both.revision, both.publication > before.publication]).toEqual([second.revision, true])
  expect(both.queries).toHaveLength(2)

  // The Worker gets head and parts from the object that was evicted.
  const offered = await server.until(async () => {
    const reply = await server.agent('/api/osquery/distributed/read', { node_key: nodeKeys[0] })
    const { queries } = reply.json<{ queries?: Record<string, string> }>()
    return queries !== undefined && Object.keys(queries).length === 2 ? queries : null
  })
  expect(Object.values(offered).sort()).toEqual(['SELECT 1 AS first', 'SELECT 2 AS second'])
  await evict()

  // A report that came before the eviction still counts when the other node's comes after it.
  const answerOf = async (nodeKey: string | undefined, queries: Record<string, string>) => {
    const [id] = Object.entries(queries).find(([, sql]) => sql === 'SELECT 1 AS first') ?? []
    const body = { node_key: nodeKey, queries: { [id ?? '']: [] }, statuses: { [id ?? '']: 0 } }
    expect((await server.agent('/api/osquery/distributed/write', body)).text).toBe('{}')
  }
  await answerOf(nodeKeys[0], offered)
  await server.until(
    async () => (await rowsOf('ENVIRONMENT', environmentId, 'SELECT shard FROM remaining')).length > 0,
  )
  await evict()
  const others = await server.agent('/api/osquery/distributed/read', { node_key: nodeKeys[1] })
  await answerOf(nodeKeys[1], others.json<{ queries: Record<string, string> }>().queries)
  await server.until(async () => {
    const row = await server.env.DB.prepare('SELECT status FROM queries WHERE id = ?').bind(first.id).first()
    return row?.['status'] === 'complete'
  })
  await evict()

  // From here on by stub.
  const stub = server.env.ENVIRONMENT.getByName(environmentId)
  const head = await stub.head()
  const document = await stub.part(head?.configurationParts[0] ?? '')
  expect(document && textOf(document)).toBe(STARTER_CONFIGURATION)
  expect(head?.queries).toHaveLength(1)
  const targets = await stub.part(head?.queries[0]?.targetPart ?? '')
  const ordinals = [await ordinalOf(server, 'evicted-1'), await ordinalOf(server, 'evicted-2')]
  expect(targets && [...NodeSet.fromBytes(targets)]).toEqual(ordinals)
  expect(await stub.refresh(1, false)).toEqual({ revision: head?.revision, heldBack: null })
  expect(await stub.head()).toEqual(head)
})

it('the directory keeps environments and secrets', async () => {
  const [row] = await rowsOf<{ json: string }>('DIRECTORY', DIRECTORY_NAME, 'SELECT json FROM directory')
  await server.evict('DIRECTORY', { name: DIRECTORY_NAME })
  const directory = await server.env.DIRECTORY.getByName(DIRECTORY_NAME).read()
  expect(directory).toEqual(JSON.parse(row?.json ?? 'null') as Directory)
  expect(directory.environments).toMatchObject([{ name: 'default' }])
  const reply = await server.agent('/api/osquery/enroll', {
    enroll_secret: ENROLL_SECRET,
    host_identifier: 'x',
  })
  expect(reply.json<{ node_key: string }>().node_key).toMatch(/^oen1-/)
})
