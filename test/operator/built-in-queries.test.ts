import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DEFAULT_BUILT_IN, NO_BUILT_IN } from '../../src/config/built-in.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { created, enrollHost, problemOf } from '../support/operator.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

const scheduleOf = async (nodeKey: string): Promise<string[]> => {
  const reply = await server.agent('/api/osquery/config', { node_key: nodeKey })
  return Object.keys(reply.json<{ schedule?: object }>().schedule ?? {})
}

describe('/environments/{env}/built-in-queries', () => {
  it('is on in an environment that is made from now on, with its queries and what they come to', async () => {
    created(await server.operator('POST', '/environments', { name: 'fresh' }))
    const reply = await server.operator('GET', '/environments/fresh/built-in-queries')
    expect(reply.json()).toMatchObject({ ...DEFAULT_BUILT_IN, linesPerNodeAndDay: 9 })
    expect(reply.json<{ queries: unknown[] }>().queries).toContainEqual({
      name: 'osquery-edge/cost',
      query: 'SELECT * FROM osquery_schedule',
      intervalS: 21_600,
    })
  })

  it('may be off from the start', async () => {
    const body = { name: 'bare', builtInQueries: NO_BUILT_IN }
    created(await server.operator('POST', '/environments', body))
    const reply = await server.operator('GET', '/environments/bare/built-in-queries')
    expect(reply.json()).toMatchObject({ ...NO_BUILT_IN, queries: [], linesPerNodeAndDay: 0 })
  })

  it('reaches agents when it is set, and is in no version of the configuration', async () => {
    const nodeKey = await enrollHost(server, 'host-1')
    expect(await scheduleOf(nodeKey)).toEqual(['uptime'])
    const set = await server.operator('PUT', '/environments/default/built-in-queries', {
      cost: { intervalS: 900 },
      inventory: null,
    })
    expect(set.json()).toMatchObject({ cost: { intervalS: 900 }, live: true })
    await server.until(async () => (await scheduleOf(nodeKey)).includes('osquery-edge/cost'))
    const stored = await server.operator('GET', '/environments/default/configuration')
    expect(stored.text).not.toContain('osquery-edge/')
    const versions = await server.operator('GET', '/environments/default/configuration/versions')
    expect(versions.json<{ items: unknown[] }>().items).toHaveLength(1)
    const audit = await server.operator('GET', '/audit')
    expect(audit.text).toContain('built-in-queries.set')
  })

  it("is told apart from operators' own in what a node gets", async () => {
    const nodes = await server.operator('GET', '/environments/default/nodes')
    const [node] = nodes.json<{ items: { id: string }[] }>().items
    const reply = await server.operator('GET', `/environments/default/nodes/${node?.id ?? ''}/configuration`)
    expect(reply.json()).toMatchObject({
      origins: [{ pointer: '/schedule/osquery-edge~1cost', layer: 'built-in queries' }],
      document: { schedule: { 'osquery-edge/cost': { interval: 900, snapshot: true } } },
      paused: [],
    })
  })

  it('names what breaks a rule', async () => {
    const path = '/environments/default/built-in-queries'
    const tooLong = await server.operator('PUT', path, { cost: { intervalS: 604_801 }, inventory: null })
    expect(problemOf(tooLong)).toEqual({ status: 422, pointers: ['/cost/intervalS'] })
    const missing = await server.operator('PUT', path, { cost: null })
    expect(problemOf(missing)).toEqual({ status: 422, pointers: ['/inventory'] })
  })

  it("refuses an operator's document with the reserved prefix", async () => {
    const document = { schedule: { 'osquery-edge/cost': { query: 'SELECT 1', interval: 60 } } }
    const reply = await server.operator('PUT', '/environments/default/configuration', document)
    expect(problemOf(reply)).toEqual({ status: 422, pointers: ['/schedule/osquery-edge~1cost'] })
  })

  it('is not switched on where a document would become too large for agents', async () => {
    const body = { name: 'large', builtInQueries: NO_BUILT_IN }
    created(await server.operator('POST', '/environments', body))
    const document = { schedule: {}, views: { v: 'x'.repeat(1_024 * 1_024 - 600) } }
    created(await server.operator('PUT', '/environments/large/configuration', document), 200)
    const reply = await server.operator('PUT', '/environments/large/built-in-queries', DEFAULT_BUILT_IN)
    expect(problemOf(reply)).toEqual({ status: 422, pointers: [''] })
  })
})
