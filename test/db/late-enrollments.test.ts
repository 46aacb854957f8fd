/** Which queries have nodes that enrolled later to look at, and up to where they have. */

import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { noteLateTargets, queriesWithLateNodes, type LateQuery } from '../../src/db/late-enrollments.ts'
import { NodeSet } from '../../src/fleet/node-set.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { created, enrollHost } from '../support/operator.ts'

const HIGHEST = 2
const NOW_MS = 1_000
let server: TestServer
let environmentId: string
beforeAll(async () => {
  server = await startServer()
  for (let i = 0; i <= HIGHEST; i += 1) await enrollHost(server, `host-${i}`)
  environmentId = created<{ id: string }>(await server.operator('GET', '/environments/default'), 200).id
})
afterAll(() => server.close())
beforeEach(() => server.env.DB.prepare('DELETE FROM queries').run())

/** Queries 1, 2, … that looked at nodes up to these ordinals. */
async function openQueries(lateFrom: readonly number[]): Promise<void> {
  const { DB } = server.env
  const insert =
    DB.prepare(`INSERT INTO queries (id, environment_id, number, kind, sql, targets, shards, targeted, status,
    created_at, expires_at, created_by, late_from)
    VALUES (?1, ?2, ?3, 'query', 'SELECT 1', '{"all":true}', 1, 0, 'open', 0, ?4, 'test', ?5)`)
  await DB.batch(
    lateFrom.map((ordinal, index) =>
      insert.bind(`query-${index}`, environmentId, index + 1, NOW_MS + 1, ordinal),
    ),
  )
}

const waiting = (limit: number): Promise<LateQuery[]> => queriesWithLateNodes(server.env.DB, NOW_MS, limit)

it('are found behind others that have looked at all', async () => {
  await openQueries([HIGHEST, HIGHEST, HIGHEST, 0])
  expect((await waiting(2)).map(({ number }) => number)).toEqual([4])
})

it.each([null, NodeSet.of([1, 2])])(
  'look again at nodes that were approved meanwhile (%#)',
  async (found) => {
    await openQueries([1])
    const [query] = await waiting(1)
    if (query === undefined) throw new Error('it waits')
    await server.env.DB.prepare('UPDATE queries SET late_from = 0').run()
    await noteLateTargets(server.env.DB, query, found)
    expect(await waiting(1)).toMatchObject([{ lateFrom: 0 }])
    await noteLateTargets(server.env.DB, { ...query, lateFrom: 0 }, found)
    expect(await waiting(1)).toEqual([])
  },
)
