/** The rows of closed queries move to R2 and read the same: with R2 away, kills at any step, late answers, erasure. */

import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { answerShardStub } from '../../src/queries/shard-name.ts'
import { pageResults, readCounts } from '../../src/queries/read.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { problemOf } from '../support/operator.ts'
import { defaultEnvironmentId, openQuery, type OpenedQuery } from '../support/queries.ts'
import * as results from '../support/results.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer({ entry: 'test/faults/entry.ts' })
})
afterEach(() => faults({}))
afterAll(() => server.close())

async function faults(modes: Record<string, 'throw' | 'hang' | 'lost'>): Promise<void> {
  await server.harness.fetch('/test/faults', { method: 'POST', body: JSON.stringify(modes) })
}

function rowsOf(ordinal: number): object[] {
  return Array.from({ length: ordinal % 5 }, (_, row) => ({
    at: `${ordinal}/${row}`,
    parity: row % 2 === 1 ? 'odd' : 'even',
  }))
}

const NODES = 12

/** A query that all nodes answered: some without rows, one failed. The last two have not answered. */
async function answeredQuery(options: { logResults?: boolean } = {}): Promise<OpenedQuery> {
  const ordinals = Array.from({ length: NODES }, (_, ordinal) => ordinal)
  const query = await openQuery(server, 'SELECT 1', ordinals, { logResults: false, ...options })
  for (const ordinal of ordinals.slice(0, NODES - 2)) {
    const failed = ordinal === 7 ? { status: 1, message: 'no such table: foo' } : {}
    const rows = ordinal === 7 ? [] : rowsOf(ordinal)
    await results.writeAnswer(server, query, ordinal, results.answerOf(query.number, rows, failed))
  }
  return query
}

/** It does not compress: two chunks of SQLite. */
function largeRow(): object {
  const bytes = new Uint8Array(1_200_000)
  for (let at = 0; at < bytes.length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536))
  return { at: 'large', blob: Buffer.from(bytes).toString('base64') }
}

async function moved(query: OpenedQuery): Promise<void> {
  await results.closeNow(server, query)
  await results.untilMoved(server, query)
}

it('reads the same after the move, by every way there is', async () => {
  const query = await answeredQuery()
  const before = await results.everythingOf(server, query)
  expect(before.pages).toHaveLength(18)
  await moved(query)
  expect(await results.everythingOf(server, query)).toEqual(before)
  expect(await results.segmentKeys(server, query)).toHaveLength(4)
})

it('moves an answer of several chunks whole', async () => {
  const query = await openQuery(server, 'SELECT 1', [1, 5, 9], { logResults: false })
  const rows = [largeRow()]
  for (const [ordinal, theirs] of [
    [1, rowsOf(1)],
    [5, rows],
    [9, rowsOf(9)],
  ] as const)
    await results.writeAnswer(server, query, ordinal, results.answerOf(query.number, theirs))
  await moved(query)
  const environmentId = await defaultEnvironmentId(server)
  const { items } = await pageResults(server.env, environmentId, query, null, 100)
  expect(items.map(({ columns }) => columns)).toEqual(
    [...rowsOf(9), ...rows, ...rowsOf(1)].map((row) => JSON.stringify(row)),
  )
})

it('does not move what is open', async () => {
  const query = await answeredQuery()
  await moved(await answeredQuery())
  expect(await results.rowsInSqlite(server, query)).toBeGreaterThan(0)
  expect(await results.segmentKeys(server, query)).toEqual([])
})

it.each(['throw', 'lost'] as const)(
  'keeps rows where they are while R2 will %s, and moves them later',
  async (mode) => {
    const query = await answeredQuery()
    const before = await results.everythingOf(server, query)
    await faults({ ARCHIVE: mode })
    await results.closeNow(server, query)
    await server.until(async () => {
      const planned = 'SELECT 1 FROM segments WHERE number = ? AND moved = 0'
      return (await results.shardRows(server, query, 3, planned, query.number)).length === 1
    })
    expect(await results.everythingOf(server, query)).toEqual(before)
    await faults({})
    // Objects that are there already are put again under the same names.
    const put = await results.segmentKeys(server, query)
    await moved(query)
    expect(await results.everythingOf(server, query)).toEqual(before)
    expect(await results.segmentKeys(server, query)).toEqual(expect.arrayContaining(put))
    expect(await results.segmentKeys(server, query)).toHaveLength(4)
  },
)

it('takes answers after the move, once each, and moves them too', async () => {
  const query = await answeredQuery()
  await moved(query)
  for (const ordinal of [NODES - 1, NODES - 2, NODES - 3])
    await results.writeAnswer(
      server,
      query,
      ordinal,
      results.answerOf(query.number, [{ at: `late ${ordinal}` }]),
    )
  const after = await results.everythingOf(server, query)
  expect(after.counts).toMatchObject({ answered: NODES, failed: 1 })
  expect(after.pages.slice(0, 2)).toMatchObject([
    { columns: `{"at":"late ${NODES - 2}"}` },
    { columns: `{"at":"late ${NODES - 1}"}` },
  ])
  expect(await results.rowsInSqlite(server, query)).toBe(2)
  await moved(query)
  expect(await results.everythingOf(server, query)).toEqual(after)
})

it('begins a segment anew that late answers came into the middle of, as it was begun', async () => {
  const query = await answeredQuery()
  await faults({ ARCHIVE: 'lost' })
  await results.closeNow(server, query)
  await server.until(async () => (await results.segmentKeys(server, query)).length === 4)
  const put = await results.segmentKeys(server, query)
  await results.writeAnswer(server, query, NODES - 1, results.answerOf(query.number, [{ at: 'late' }]))
  const before = await results.everythingOf(server, query)
  await faults({})
  await moved(query)
  expect(await results.everythingOf(server, query)).toEqual(before)
  const keys = await results.segmentKeys(server, query)
  expect([keys.length, keys]).toEqual([5, expect.arrayContaining(put)])
})

it('leaves nothing in R2 of an erased query, also where it is erased in the middle of a move', async () => {
  const query = await answeredQuery()
  const environmentId = await defaultEnvironmentId(server)
  await faults({ ARCHIVE: 'lost' })
  await results.closeNow(server, query)
  await server.until(async () => (await results.segmentKeys(server, query)).length === 4)
  await faults({ ARCHIVE: 'throw' })
  for (let shard = 0; shard < 4; shard += 1)
    await answerShardStub(server.env, environmentId, 4, shard).erase(query.number)
  expect(await readCounts(server.env, environmentId, query)).toMatchObject({ answered: 0, failed: 0 })
  await faults({})
  await results.closeNow(server, query)
  await server.until(async () => (await results.segmentKeys(server, query)).length === 0)
  // A put that was under way may still land: the keys are looked after until it cannot.
  const doomed = 'SELECT key FROM doomed_objects WHERE due_ms = until_ms AND key LIKE ?'
  const [left] = await results.shardRows<{ key: string }>(server, query, 2, doomed, `%${query.id}%`)
  await server.env.ARCHIVE.put(left?.key ?? '', 'landed late')
  await results.shardRows(server, query, 2, 'UPDATE doomed_objects SET until_ms = 0')
  await results.closeNow(server, query)
  await server.until(async () => (await results.segmentKeys(server, query)).length === 0)
  const all = 'SELECT key FROM doomed_objects WHERE key LIKE ?'
  await server.until(
    async () => (await results.shardRows(server, query, 2, all, `%${query.id}%`)).length === 0,
  )
})

it('deletes what was moved when a query is erased, and takes no more answers', async () => {
  const query = await answeredQuery()
  const environmentId = await defaultEnvironmentId(server)
  await moved(query)
  for (let shard = 0; shard < 4; shard += 1)
    await answerShardStub(server.env, environmentId, 4, shard).erase(query.number)
  expect(await results.segmentKeys(server, query)).toEqual([])
  await results.writeAnswer(server, query, NODES - 1, results.answerOf(query.number, [{ at: 'late' }]))
  expect((await results.everythingOf(server, query)).pages).toEqual([])
})

it('waits until answers are log lines', async () => {
  await faults({ LOGS: 'throw' })
  const query = await answeredQuery({ logResults: true })
  await results.closeNow(server, query)
  // The shard looked, and looks again later.
  const put = 'SELECT 1 FROM queries WHERE number = ? AND closed = 1 AND move_at_ms > 1'
  const soon = `${put} AND move_at_ms > ${Date.now() + 30_000}`
  await server.until(async () => (await results.shardRows(server, query, 3, soon, query.number)).length === 1)
  expect(await results.segmentKeys(server, query)).toEqual([])
  await faults({})
  await server.until(async () => {
    await results.closeNow(server, query)
    return (await results.rowsInSqlite(server, query)) === 0
  }, 30_000)
  const logged = 'SELECT logged AS last FROM answer_log WHERE number = ? AND pending = 0'
  expect(await results.shardRows(server, query, 3, logged, query.number)).toEqual([{ last: 2 }])
})

it('says that it cannot read rather than leaving rows out, while R2 is away', async () => {
  const query = await answeredQuery()
  await moved(query)
  await faults({ ARCHIVE: 'throw' })
  await expect(results.everythingOf(server, query)).rejects.toThrow()
  const reply = await server.operator('GET', `/environments/default/queries/${query.id}/results`)
  expect(problemOf(reply).status).toBe(503)
  await faults({})
  expect((await results.everythingOf(server, query)).counts).toMatchObject({ answered: NODES - 2 })
})
