/** Design section 5: what a request may cost, counted in binding calls. Idle costs nothing. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FRESH_FOR_MS } from '../../src/snapshot/fresh-value.ts'
import { ENROLL_SECRET, startServer, type Reply, type TestServer } from '../support/harness.ts'
import { created } from '../support/operator.ts'
import { defaultEnvironmentId, openQuery, ordinalOf } from '../support/queries.ts'

let server: TestServer
let nodeKey: string
beforeAll(async () => {
  server = await startServer({ entry: 'test/faults/entry.ts' })
  nodeKey = await server.enroll('counted')
  await warmUp()
})
afterAll(() => server.close())

/** Two polls of each kind: the head is in memory, presence was flushed. */
async function warmUp(): Promise<void> {
  await server.agent('/api/osquery/config', { node_key: nodeKey })
  await server.agent('/api/osquery/distributed/read', { node_key: nodeKey })
}

/** Calls of one request, without the head's refresh and presence, which are counted by isolate and time. */
function callsOf(reply: Reply): Record<string, number> {
  const calls = JSON.parse(reply.headers.get('x-test-calls') ?? '{}') as Record<string, number>
  const perIsolate = new Set([
    'ENVIRONMENT.head',
    'ENVIRONMENT.part',
    'DIRECTORY.read',
    'DIRECTORY.noteEnrolls',
    'PRESENCE.flush',
  ])
  return Object.fromEntries(Object.entries(calls).filter(([call]) => !perIsolate.has(call)))
}

describe('what a request costs', () => {
  it('config and an idle distributed read: nothing', async () => {
    for (const path of ['config', 'distributed/read']) {
      const reply = await server.agent(`/api/osquery/${path}`, { node_key: nodeKey })
      expect([path, reply.status, callsOf(reply)]).toEqual([path, 200, {}])
    }
  })

  it('a hundred idle polls: at most one refresh of the head for each T', async () => {
    const startedAtMs = Date.now()
    let refreshes = 0
    for (let i = 0; i < 100; i += 1) {
      const reply = await server.agent('/api/osquery/distributed/read', { node_key: nodeKey })
      const calls = JSON.parse(reply.headers.get('x-test-calls') ?? '{}') as Record<string, number>
      refreshes += calls['ENVIRONMENT.head'] ?? 0
    }
    expect(refreshes).toBeLessThanOrEqual(2 + (Date.now() - startedAtMs) / FRESH_FOR_MS)
  })

  it('enroll: one D1 statement', async () => {
    const body = { enroll_secret: ENROLL_SECRET, host_identifier: 'one-statement' }
    const reply = await server.agent('/api/osquery/enroll', body)
    expect(callsOf(reply)).toEqual({ 'DB.first': 1 })
  })

  it('a node that waits for approval: one statement to enroll, nothing for its polls', async () => {
    created(await server.operator('PATCH', '/environments/default/admission', { approval: true }), 200)
    const waiting = await server.until(async () => {
      const body = { enroll_secret: ENROLL_SECRET, host_identifier: `waiting-${crypto.randomUUID()}` }
      const reply = await server.agent('/api/osquery/enroll', body)
      expect(callsOf(reply)).toEqual({ 'DB.first': 1 })
      const { node_key: key } = reply.json<{ node_key: string }>()
      return key.startsWith('oen2-') ? key : null
    })
    created(await server.operator('PATCH', '/environments/default/admission', { approval: false }), 200)
    for (const path of ['config', 'distributed/read', 'log']) {
      const reply = await server.agent(`/api/osquery/${path}`, {
        node_key: waiting,
        log_type: 'status',
        data: [],
      })
      expect([path, callsOf(reply)]).toEqual([path, {}])
    }
  })

  it('a refused enroll: no D1 at all', async () => {
    const reply = await server.agent('/api/osquery/enroll', { enroll_secret: 'wrong', host_identifier: 'x' })
    expect(Object.keys(callsOf(reply)).filter((call) => call.startsWith('DB'))).toEqual([])
  })

  it('a read with work and its write: one object call each, for five queries as for one', async () => {
    const ordinal = await ordinalOf(server, 'counted')
    for (let i = 0; i < 5; i += 1) await openQuery(server, `SELECT ${i}`, [ordinal])
    const read = await server.until(async () => {
      const reply = await server.agent('/api/osquery/distributed/read', { node_key: nodeKey })
      return Object.keys(reply.json<{ queries?: object }>().queries ?? {}).length === 5 ? reply : null
    })
    expect(callsOf(read)).toEqual({ 'ANSWER_SHARD.read': 1 })
    const ids = Object.keys(read.json<{ queries: object }>().queries)
    const queries = Object.fromEntries(ids.map((id) => [id, [{ a: '1' }]]))
    const write = await server.agent('/api/osquery/distributed/write', { queries, node_key: nodeKey })
    expect(write.text).toBe('{}')
    expect(callsOf(write)).toEqual({ 'ANSWER_SHARD.write': 1 })
  })

  it('an accelerated idle read, held to its end: refreshes of the head, two a second, and nothing else', async () => {
    const key = await server.enroll('watched')
    const { number } = await openQuery(server, 'SELECT 99', [await ordinalOf(server, 'watched')])
    await server.env.ENVIRONMENT.getByName(await defaultEnvironmentId(server)).watch(number)
    const offered = await server.until(async () => {
      const reply = await server.agent('/api/osquery/distributed/read', { node_key: key })
      const { queries = {}, accelerate } = reply.json<{ queries?: object; accelerate?: number }>()
      return accelerate === undefined ? null : Object.keys(queries)
    })
    const queries = Object.fromEntries(offered.map((id) => [id, []]))
    const write = await server.agent('/api/osquery/distributed/write', { queries, node_key: key })
    expect(callsOf(write)).toEqual({ 'ANSWER_SHARD.write': 1 })
    // The shard reports who remains soon after the last answer; until then a read may ask it once.
    const held = await server.until(async () => {
      const reply = await server.agent('/api/osquery/distributed/read', { node_key: key })
      return Object.keys(callsOf(reply)).length === 0 ? reply : null
    })
    expect(held.json()).toEqual({ queries: {}, accelerate: 60 })
    const calls = JSON.parse(held.headers.get('x-test-calls') ?? '{}') as Record<string, number>
    expect(calls['ENVIRONMENT.head'] ?? 0).toBeLessThanOrEqual(14)
  })

  it('reads of nodes that are not watched cost nothing while others are', async () => {
    const reply = await server.agent('/api/osquery/distributed/read', { node_key: nodeKey })
    expect([reply.text, callsOf(reply)]).toEqual(['{}', {}])
  })
})
