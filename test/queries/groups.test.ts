/** Counts of rows by columns that take longer than a request: the next one goes on. */

import { afterAll, beforeAll, expect, it } from 'vitest'
import { groupRows } from '../../src/queries/groups.ts'
import { ALL_ROWS } from '../../src/queries/row-filter.ts'
import { answerShardStub } from '../../src/queries/shard-name.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { defaultEnvironmentId, openQuery, type OpenedQuery } from '../support/queries.ts'
import { answerOf, closeNow, shardRows, untilMoved, writeAnswer } from '../support/results.ts'

let server: TestServer
let environmentId: string
beforeAll(async () => {
  server = await startServer()
  environmentId = await defaultEnvironmentId(server)
})
afterAll(() => server.close())

/** Nodes 1 and 2 answer, each in a shard of its own; their answers are then those of so many nodes. */
const NODES = 2_400

async function answeredQuery(nodes: number): Promise<OpenedQuery> {
  const ordinals = Array.from({ length: nodes + 1 }, (_, ordinal) => ordinal + 1)
  const query = await openQuery(server, 'SELECT group', ordinals, { shards: 2, logResults: false })
  for (const ordinal of [1, 2]) await answer(query, ordinal)
  // A shard hands over 500 answers at a time.
  for (const shard of [0, 1])
    await shardRows(
      server,
      query,
      shard,
      `WITH RECURSIVE more (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM more WHERE n < ?2)
       INSERT INTO answers (number, ordinal, node_id, received_at_ms, status, message, stats, row_count, truncated, data, arrival)
       SELECT number, ordinal + 2 * n, 'node', received_at_ms, 0, '', '{}', row_count, 0, data, arrival + n
       FROM answers CROSS JOIN more WHERE number = ?1 AND n < ?2`,
      query.number,
      nodes / 2,
    )
  return query
}

function answer(query: OpenedQuery, ordinal: number): Promise<void> {
  const rows = [{ parity: ordinal % 2 === 0 ? 'even' : 'odd' }, { parity: 'any' }]
  return writeAnswer(server, query, ordinal, answerOf(query.number, rows))
}

/** What a request does that has no time: one step. */
function step(query: OpenedQuery) {
  return groupRows(server.env, environmentId, query, ['parity'], ALL_ROWS, 0)
}

/** Steps until it is complete; how often, and what came of it. */
async function stepsOf(query: OpenedQuery) {
  for (let steps = 1; steps < 20; steps += 1) {
    const { groups, rows, nodes, complete, continues } = await step(query)
    expect(complete).toBe(!continues)
    if (complete) return { steps, groups, rows, nodes }
  }
  throw new Error('it never ends')
}

function wholeOf(nodes: number) {
  const [odd, even] = [Math.ceil(nodes / 2), Math.floor(nodes / 2)]
  return {
    rows: 2 * nodes,
    nodes,
    groups: expect.arrayContaining([
      { values: ['any'], rows: nodes, nodes },
      { values: ['odd'], rows: odd, nodes: odd },
      { values: ['even'], rows: even, nodes: even },
    ]) as unknown,
  }
}

async function keptCounts(query: OpenedQuery): Promise<number> {
  let count = 0
  for (const shard of [0, 1]) {
    const sql = 'SELECT COUNT(*) AS count FROM row_counts WHERE number = ?'
    count += (await shardRows<{ count: number }>(server, query, shard, sql, query.number))[0]?.count ?? 0
  }
  return count
}

it('go on request by request until they are complete, also after the rows moved', async () => {
  const query = await answeredQuery(NODES)
  const first = await stepsOf(query)
  expect(first).toMatchObject(wholeOf(NODES))
  expect(first.steps).toBeGreaterThan(3)
  await answer(query, NODES + 1)
  // Only what is new is counted.
  expect((await stepsOf(query)).steps).toBeLessThanOrEqual(3)
  await closeNow(server, query)
  await untilMoved(server, query)
  expect(await stepsOf(query)).toMatchObject(wholeOf(NODES + 1))
})

it('are another one for other columns and other filters', async () => {
  const query = await answeredQuery(2)
  const place = [server.env, environmentId, query] as const
  await stepsOf(query)
  const even = { nodeId: null, column: { name: 'parity', value: 'even' } }
  expect(await groupRows(...place, ['parity'], even)).toMatchObject({ rows: 1, nodes: 1, complete: true })
  expect((await groupRows(...place, ['none'], ALL_ROWS)).groups).toEqual([
    { values: [null], rows: 4, nodes: 2 },
  ])
})

it('that are quick are not kept; twenty of a query are, until it is erased', async () => {
  const query = await answeredQuery(2)
  await groupRows(server.env, environmentId, query, ['parity'], ALL_ROWS)
  expect(await keptCounts(query)).toBe(0)
  const shard = answerShardStub(server.env, environmentId, query.shards, 0)
  for (let key = 0; key < 25; key += 1)
    await shard.keepRowCount(query.number, `key-${key}`, new Uint8Array([1]))
  expect(await keptCounts(query)).toBe(20)
  await shard.erase(query.number)
  await shard.keepRowCount(query.number, 'late', new Uint8Array([1]))
  expect(await keptCounts(query)).toBe(0)
})
