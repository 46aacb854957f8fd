/** While an operator watches: what agents are told, and reads that are held (spec 2.4; design 4, Distributed read). */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer, type TestServer } from '../support/harness.ts'
import { defaultEnvironmentId, openQuery, ordinalOf } from '../support/queries.ts'

interface ReadReply {
  queries?: Record<string, string>
  discovery?: Record<string, string>
  accelerate?: number
}

let server: TestServer
let environmentId: string
beforeAll(async () => {
  server = await startServer()
  environmentId = await defaultEnvironmentId(server)
})
afterAll(() => server.close())

async function read(nodeKey: string): Promise<ReadReply> {
  return (await server.agent('/api/osquery/distributed/read', { node_key: nodeKey })).json<ReadReply>()
}

async function watch(number: number) {
  return server.env.ENVIRONMENT.getByName(environmentId).watch(number)
}

/** Polls until the isolate's head says that the node is accelerated. */
async function accelerated(nodeKey: string): Promise<ReadReply> {
  return server.until(async () => {
    const reply = await read(nodeKey)
    return reply.accelerate === undefined ? null : reply
  })
}

/** Polls until accelerated, and answers what it was asked as an agent does before it polls again. */
async function idleAndAccelerated(nodeKey: string): Promise<void> {
  const { queries = {} } = await accelerated(nodeKey)
  const answers = Object.fromEntries(Object.keys(queries).map((id) => [id, []]))
  await server.agent('/api/osquery/distributed/write', { queries: answers, node_key: nodeKey })
}

describe('a watched query', () => {
  it('accelerates its targets for a minute at a time, and nobody else', async () => {
    const [asked, other] = [await server.enroll('watched'), await server.enroll('unwatched')]
    const { number } = await openQuery(server, 'SELECT 1', [await ordinalOf(server, 'watched')])
    const { open, acceleratedUntilMs } = await watch(number)
    expect(open).toBe(true)
    expect(acceleratedUntilMs - Date.now()).toBeGreaterThan(9 * 60_000)
    const reply = await accelerated(asked)
    expect(reply.accelerate).toBe(60)
    expect(Object.values(reply.queries ?? {})).toEqual(['SELECT 1'])
    expect(await read(other)).toEqual({})
  })

  it('lets an idle read of its targets wait, and hands it a new query at once', async () => {
    const nodeKey = await server.enroll('held')
    const ordinal = await ordinalOf(server, 'held')
    await watch((await openQuery(server, 'SELECT 2', [ordinal])).number)
    await idleAndAccelerated(nodeKey)
    const held = read(nodeKey)
    const opened = openQuery(server, 'SELECT 3', [ordinal])
    expect(await Promise.race([held.then(() => 'answered'), opened.then(() => 'still held')])).toBe(
      'still held',
    )
    const reply = await held
    expect(Object.values(reply.queries ?? {})).toEqual(['SELECT 3'])
    expect(Object.keys(reply.discovery ?? {})).toHaveLength(2)
    expect(reply.accelerate).toBe(60)
  })

  it('answers a held read that nothing came for as "nothing to do", accelerated on', async () => {
    const nodeKey = await server.enroll('held-for-nothing')
    const ordinal = await ordinalOf(server, 'held-for-nothing')
    await watch((await openQuery(server, 'SELECT 4', [ordinal])).number)
    await idleAndAccelerated(nodeKey)
    expect(await read(nodeKey)).toEqual({ queries: {}, accelerate: 60 })
  })

  it('that is not known accelerates nobody', async () => {
    expect((await watch(4_000_000)).open).toBe(false)
  })

  it('keeps its targets accelerated after it is complete: the next one is for the same nodes', async () => {
    const nodeKey = await server.enroll('again')
    const ordinal = await ordinalOf(server, 'again')
    const query = await openQuery(server, 'SELECT 5', [ordinal])
    await watch(query.number)
    await idleAndAccelerated(nodeKey)
    await server.until(async () => {
      const row = await server.env.DB.prepare('SELECT status FROM queries WHERE id = ?')
        .bind(query.id)
        .first()
      return row?.['status'] === 'complete'
    })
    const head = await server.env.ENVIRONMENT.getByName(environmentId).head()
    expect(head?.queries.map(({ number }) => number)).not.toContain(query.number)
    expect((await accelerated(nodeKey)).accelerate).toBe(60)
  })
})

describe('the share of the fleet', () => {
  it('of zero accelerates nobody', async () => {
    const { DB } = server.env
    await DB.prepare('UPDATE environments SET accelerate_share = 0 WHERE id = ?').bind(environmentId).run()
    await server.enroll('slow')
    const { number } = await openQuery(server, 'SELECT 6', [await ordinalOf(server, 'slow')])
    await watch(number)
    const head = await server.env.ENVIRONMENT.getByName(environmentId).head()
    expect(head?.accelerated).toBeUndefined()
  })
})
