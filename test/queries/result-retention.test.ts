/** What becomes of results when a query is over: handed over to R2, kept for their days, erased; the counts stay. */

import { afterAll, beforeAll, expect, it } from 'vitest'
import { beginErasure } from '../../src/db/query-results.ts'
import { readCounts } from '../../src/queries/read.ts'
import { answerShardStub } from '../../src/queries/shard-name.ts'
import { eraseExpired, handOverClosed } from '../../src/snapshot/query-results.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { created, problemOf } from '../support/operator.ts'
import { defaultEnvironmentId, openQuery, type OpenedQuery } from '../support/queries.ts'
import * as results from '../support/results.ts'

const DAY_MS = 86_400_000

let server: TestServer
let environmentId: string
beforeAll(async () => {
  server = await startServer()
  environmentId = await defaultEnvironmentId(server)
})
afterAll(() => server.close())

/** A query that three of four nodes answered, stopped. */
async function stoppedQuery(options: { logResults?: boolean } = {}): Promise<OpenedQuery> {
  const query = await openQuery(server, 'SELECT 1', [0, 1, 2, 3], { logResults: false, ...options })
  for (const ordinal of [0, 1, 2]) {
    const failed = ordinal === 2 ? { status: 1, message: 'no such table: foo' } : {}
    await results.writeAnswer(server, query, ordinal, results.answerOf(query.number, [{ a: '1' }], failed))
  }
  created(await server.operator('POST', `${pathOf(query)}/stop`), 200)
  return query
}

function pathOf({ id }: OpenedQuery): string {
  return `/environments/default/queries/${id}`
}

async function stageOf({ id }: OpenedQuery): Promise<unknown> {
  const row = server.env.DB.prepare('SELECT results_stage AS stage FROM queries WHERE id = ?').bind(id)
  return (await row.first<{ stage: number }>())?.stage
}

const COUNTS = { targeted: 4, answered: 3, failed: 1, pending: 1 }

it('are handed over once the query is over, and not before', async () => {
  const open = await openQuery(server, 'SELECT 1', [0, 1], { logResults: false })
  await results.writeAnswer(server, open, 0, results.answerOf(open.number, [{ a: '1' }]))
  const query = await stoppedQuery()
  expect(await handOverClosed(server.env, environmentId)).toBe(false)
  await results.untilMoved(server, query)
  expect([await stageOf(query), await stageOf(open)]).toEqual([1, 0])
  expect(await results.rowsInSqlite(server, open)).toBe(1)
  const { items } = created<{ items: unknown[] }>(
    await server.operator('GET', `${pathOf(query)}/results`),
    200,
  )
  expect(items).toHaveLength(3)
})

it('stay for 30 days; then they are gone and say so, and the counts stay', async () => {
  const query = await stoppedQuery()
  await handOverClosed(server.env, environmentId)
  await results.untilMoved(server, query)
  const before = created(await server.operator('GET', pathOf(query)), 200)
  expect(before).toMatchObject({ status: 'stopped', counts: COUNTS, resultsErasedAt: null })
  await eraseExpired(server.env, environmentId, Date.now() + 29 * DAY_MS)
  expect(await stageOf(query)).toBe(1)
  const nowMs = Date.now() + 30 * DAY_MS + 60_000
  await eraseExpired(server.env, environmentId, nowMs)
  expect(await stageOf(query)).toBe(3)
  const after = created(await server.operator('GET', pathOf(query)), 200)
  expect(after).toEqual({ ...before, resultsErasedAt: new Date(nowMs).toISOString() })
  for (const list of ['results', 'answers', 'export', 'groups?by=a', 'stragglers', 'stream'])
    expect([list, problemOf(await server.operator('GET', `${pathOf(query)}/${list}`)).status]).toEqual([
      list,
      410,
    ])
  expect(problemOf(await server.operator('POST', `${pathOf(query)}/rerun`, { only: 'failed' })).status).toBe(
    410,
  )
  expect(await results.segmentKeys(server, query)).toEqual([])
  expect(await readCounts(server.env, environmentId, query)).toMatchObject({ answered: 0, offered: 0 })
})

it('stay for as long as the environment says', async () => {
  const query = await stoppedQuery()
  await handOverClosed(server.env, environmentId)
  const path = '/environments/default/retention'
  created(await server.operator('PATCH', path, { resultsRetentionDays: 90 }), 200)
  await eraseExpired(server.env, environmentId, Date.now() + 89 * DAY_MS)
  expect(await stageOf(query)).toBe(1)
  created(await server.operator('PATCH', path, { resultsRetentionDays: 30 }), 200)
  await eraseExpired(server.env, environmentId, Date.now() + 89 * DAY_MS)
  expect(await stageOf(query)).toBe(3)
})

it('are erased to the end after a kill in the middle; the counts are those of before', async () => {
  const query = await stoppedQuery()
  await handOverClosed(server.env, environmentId)
  const counts = await readCounts(server.env, environmentId, query)
  await beginErasure(server.env.DB, environmentId, query.number, counts, Date.now())
  await answerShardStub(server.env, environmentId, 4, 0).erase(query.number)
  expect(created(await server.operator('GET', pathOf(query)), 200)).toMatchObject({ counts: COUNTS })
  await eraseExpired(server.env, environmentId, Date.now())
  expect(await stageOf(query)).toBe(3)
  expect(created(await server.operator('GET', pathOf(query)), 200)).toMatchObject({ counts: COUNTS })
  expect(await readCounts(server.env, environmentId, query)).toMatchObject({ answered: 0 })
})

it('are not erased before they are log lines', async () => {
  const query = await stoppedQuery({ logResults: true })
  await handOverClosed(server.env, environmentId)
  const pending = 'UPDATE answer_log SET pending = ?, sent_at_ms = ? WHERE number = ?'
  for (const shard of [0, 1, 2]) {
    const logged = `SELECT 1 FROM answer_log WHERE number = ? AND pending = 0`
    await server.until(
      async () => (await results.shardRows(server, query, shard, logged, query.number)).length === 1,
      30_000,
    )
  }
  await results.shardRows(server, query, 1, pending, 1, Date.now(), query.number)
  await eraseExpired(server.env, environmentId, Date.now() + 31 * DAY_MS)
  expect(await stageOf(query)).toBe(1)
  await results.shardRows(server, query, 1, pending, 0, 0, query.number)
  await eraseExpired(server.env, environmentId, Date.now() + 31 * DAY_MS)
  expect(await stageOf(query)).toBe(3)
})

it('of a query that an operator deletes are gone from R2, too', async () => {
  const query = await stoppedQuery()
  await handOverClosed(server.env, environmentId)
  await results.untilMoved(server, query)
  expect(await results.segmentKeys(server, query)).toHaveLength(3)
  expect((await server.operator('DELETE', pathOf(query))).status).toBe(204)
  await server.until(async () => (await results.segmentKeys(server, query)).length === 0)
})
