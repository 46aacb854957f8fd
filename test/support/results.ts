/** Queries with answers that no agent gave, for tests of what becomes of results. */

import { gzipSync } from 'node:zlib'
import { controlDb } from '../../src/db/control.ts'
import type { Bytes } from '../../src/lib/bytes.ts'
import type { NewAnswer } from '../../src/queries/answer.ts'
import { groupRows } from '../../src/queries/groups.ts'
import { inflateRows, pageAnswers, pageResults, readCounts } from '../../src/queries/read.ts'
import { ALL_ROWS } from '../../src/queries/row-filter.ts'
import { answerShardStub } from '../../src/queries/shard-name.ts'
import { pageStragglers } from '../../src/queries/stragglers.ts'
import { walkRows } from '../../src/queries/walk.ts'
import type { TestServer } from './harness.ts'
import { defaultEnvironmentId, type OpenedQuery } from './queries.ts'

/** A node's answer with these rows; without any where there are none. */
export function answerOf(
  number: number,
  rows: readonly object[],
  options: Partial<NewAnswer> = {},
): NewAnswer {
  return {
    number,
    status: 0,
    message: '',
    stats: '{}',
    rowCount: rows.length,
    truncated: false,
    rows: rows.length === 0 ? null : new Uint8Array(gzipSync(JSON.stringify(rows))),
    carves: [],
    ...options,
  }
}

/** Writes a node's answer straight into its shard. */
export async function writeAnswer(
  server: TestServer,
  query: OpenedQuery,
  ordinal: number,
  answer: NewAnswer,
): Promise<void> {
  const environmentId = await defaultEnvironmentId(server)
  const stub = answerShardStub(server.env, environmentId, query.shards, ordinal % query.shards)
  await stub.write({ ordinal, nodeId: nodeIdOf(ordinal) }, [answer])
}

export function nodeIdOf(ordinal: number): string {
  return `00000000-0000-4000-8000-${String(ordinal).padStart(12, '0')}`
}

/** Runs SQL in a shard's object, without holding a stub of it. */
export async function shardRows<Row extends object>(
  server: TestServer,
  query: Pick<OpenedQuery, 'shards'>,
  shard: number,
  sql: string,
  ...values: (string | number)[]
): Promise<Row[]> {
  const name = `${await defaultEnvironmentId(server)}/${query.shards}/${shard}`
  const storage = await server.worker.getDurableObjectStorage('ANSWER_SHARD', { name })
  return (await storage.exec(sql, ...values)) as Row[]
}

/** Rows of a query that are still in its shards' SQLite: answers and further chunks. */
export async function rowsInSqlite(server: TestServer, query: OpenedQuery): Promise<number> {
  let count = 0
  for (let shard = 0; shard < query.shards; shard += 1) {
    const [found] = await shardRows<{ count: number }>(
      server,
      query,
      shard,
      `SELECT (SELECT COUNT(*) FROM answers WHERE number = ?1 AND data IS NOT NULL) +
         (SELECT COUNT(*) FROM answer_chunks WHERE number = ?1) AS count`,
      query.number,
    )
    count += found?.count ?? 0
  }
  return count
}

/** The objects of a query's results in R2. */
export async function segmentKeys(server: TestServer, query: OpenedQuery): Promise<string[]> {
  const prefix = `results/environment=${await defaultEnvironmentId(server)}/query=${query.id}/`
  const { objects } = await server.env.ARCHIVE.list({ prefix })
  return objects.map(({ key }) => key).sort()
}

/** Tells a query's shards that it is closed, and that what they put off is due now. */
export async function closeNow(server: TestServer, query: OpenedQuery): Promise<void> {
  const environmentId = await defaultEnvironmentId(server)
  for (let shard = 0; shard < query.shards; shard += 1) {
    const due = 'UPDATE queries SET move_at_ms = 0 WHERE move_at_ms IS NOT NULL'
    await shardRows(server, query, shard, due)
    await shardRows(server, query, shard, 'UPDATE doomed_objects SET due_ms = 0')
    await answerShardStub(server.env, environmentId, query.shards, shard).close([query.number])
  }
}

/** Waits until nothing of a query is left to move. */
export async function untilMoved(server: TestServer, query: OpenedQuery): Promise<void> {
  await server.until(async () => (await rowsInSqlite(server, query)) === 0)
}

/** Everything that readers can see of a query, by every way there is. */
export async function everythingOf(server: TestServer, query: OpenedQuery) {
  const { env } = server
  const environmentId = await defaultEnvironmentId(server)
  const place = { ...query, environmentId }
  const pages: unknown[] = []
  let cursor: string | null = null
  do {
    const page = await pageResults(env, environmentId, query, cursor, 10)
    pages.push(...page.items)
    cursor = page.nextCursor
  } while (cursor !== null)
  const walked: unknown[] = []
  for await (const answers of walkRows(env, environmentId, query, ALL_ROWS)) walked.push(...answers)
  const found = { afterOrdinal: -1, limit: 500, reasons: null, onlineSinceMs: 0 }
  return {
    pages,
    filtered: (
      await pageResults(env, environmentId, query, null, 500, {
        nodeId: null,
        column: { name: 'parity', value: 'odd' },
      })
    ).items,
    walked,
    groups: await groupRows(env, environmentId, query, ['parity'], ALL_ROWS),
    answers: (await pageAnswers(env, environmentId, query, null, 500)).items,
    counts: await readCounts(env, environmentId, query),
    stragglers: (await pageStragglers(env, controlDb(env.DB), place, found)).items,
    arrivals: await arrivalsOf(server, query),
  }
}

/** The rows of each shard in the order in which viewers get them. */
async function arrivalsOf(server: TestServer, query: OpenedQuery): Promise<unknown[]> {
  const environmentId = await defaultEnvironmentId(server)
  const all: unknown[] = []
  for (let shard = 0; shard < query.shards; shard += 1) {
    const stub = answerShardStub(server.env, environmentId, query.shards, shard)
    for (let after = 0; ;) {
      const some = await stub.arrivals(query.number, after, 2, 1_000)
      for (const { rows, ...arrival } of some) {
        const text = rows === null ? null : new TextDecoder().decode(await inflateRows(rows as Bytes))
        all.push({ ...arrival, rows: text })
      }
      const last = some.at(-1)
      if (last === undefined) break
      after = last.arrival
    }
  }
  return all
}
