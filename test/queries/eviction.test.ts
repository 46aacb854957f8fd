import { afterAll, beforeAll, expect, it } from 'vitest'
import { readCounts } from '../../src/queries/read.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { defaultEnvironmentId, openQuery, ordinalOf } from '../support/queries.ts'

// A file of its own: an object can be evicted only while the test holds no stub of it.
let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

it('keeps offers and answers over evictions of the shard', async () => {
  const nodeKey = await server.enroll('evicted')
  const ordinal = await ordinalOf(server, 'evicted')
  const query = await openQuery(server, 'SELECT 9', [ordinal])
  const environmentId = await defaultEnvironmentId(server)
  const name = `${environmentId}/4/${ordinal % 4}`
  const id = await server.until(async () => {
    const reply = await server.agent('/api/osquery/distributed/read', { node_key: nodeKey })
    return Object.keys(reply.json<{ queries?: object }>().queries ?? {})[0]
  })
  await server.evict('ANSWER_SHARD', { name })
  const body = { queries: { [id]: [{ a: '1' }] }, statuses: { [id]: 0 }, node_key: nodeKey }
  expect((await server.agent('/api/osquery/distributed/write', body)).text).toBe('{}')
  await server.evict('ANSWER_SHARD', { name })
  expect(await readCounts(server.env, environmentId, query)).toMatchObject({ answered: 1, failed: 0 })
})
