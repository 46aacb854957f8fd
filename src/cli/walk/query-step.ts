/** Step: a live query is answered, and its rows are what the agent's own SQL says. */

import type { OperatorApi } from './operator-api.ts'
import type { Seen } from './report.ts'
import { expect, valueOf } from './report.ts'
import type { Counts, Query } from './shapes.ts'
import { query, queryAnswer, queryResult } from './shapes.ts'
import { until } from './wait.ts'
import type { WalkingAgent } from './walking-agent.ts'

const GOOD_SQL = 'SELECT uid, gid, username, \'Zoë ☃ "quoted"\' AS note, directory FROM users ORDER BY uid'
const BAD_SQL = 'SELECT nothing FROM no_such_table'
const LIFE_S = 600
/** A new query is in every snapshot after 4 s at most; the agent polls in between. */
const ANSWERED = { withinMs: 15_000, everyMs: 250 }

/** Ids of what must still be there after a restart. */
export interface AnsweredQueries {
  good: Query
  bad: Query
}

/** Asks every node two things at once, of which one is no SQL that it understands. */
export async function askLive(walking: WalkingAgent, api: OperatorApi): Promise<Seen<AnsweredQueries>> {
  const open = (sql: string): Promise<Query> =>
    api.post('/queries', { sql, targets: { all: true }, expiresInSeconds: LIFE_S }, query)
  const [good, bad] = [await open(GOOD_SQL), await open(BAD_SQL)]
  expectCounts(good, 'open', { targeted: 1, answered: 0, failed: 0, pending: 1 })
  const startMs = performance.now()
  await answer(walking, [good.id, bad.id], api)
  const answeredMs = Math.round(performance.now() - startMs)
  const rows = await checkAnswers(walking, api, { good, bad })
  return {
    value: { good, bad },
    detail: `${rows} rows as in the agent's own SQL, ${answeredMs} ms after asking`,
  }
}

/** Lets the agent poll until these queries have its answers. */
export async function answer(
  { agent }: WalkingAgent,
  ids: readonly string[],
  api: OperatorApi,
): Promise<void> {
  await until('answered', ANSWERED, async () => {
    const { read, write } = await agent.pollDistributed()
    valueOf(read, 'distributed read')
    if (write !== undefined) valueOf(write, 'distributed write')
    const asked = await Promise.all(ids.map((id) => api.get(`/queries/${id}`, query)))
    return asked.every(({ counts }) => counts.pending === 0) || undefined
  })
}

/** Compares what is stored with what the agent says, counts and status; gives the number of rows. */
export async function checkAnswers(
  { agent, nodeId }: WalkingAgent,
  api: OperatorApi,
  { good, bad }: AnsweredQueries,
): Promise<number> {
  const wanted = valueOf(agent.runSql(GOOD_SQL), 'the SQL at the agent')
  const results = await api.all(`/queries/${good.id}/results`, queryResult)
  const [rows, wantedRows] = [results.map(({ columns }) => columns), wanted].map(sortedTexts)
  expect(wanted.length > 1, 'the agent has not enough users for a comparison')
  expect(
    JSON.stringify(rows) === JSON.stringify(wantedRows),
    `the rows are ${JSON.stringify(rows)}, not ${JSON.stringify(wantedRows)}`,
  )
  expect(
    results.every((row) => row.nodeId === nodeId),
    'a row is of another node',
  )
  expectCounts(await api.get(`/queries/${good.id}`, query), 'complete', {
    targeted: 1,
    answered: 1,
    failed: 0,
    pending: 0,
  })
  expectCounts(await api.get(`/queries/${bad.id}`, query), 'complete', {
    targeted: 1,
    answered: 1,
    failed: 1,
    pending: 0,
  })
  await checkFailure(api, bad.id, agent.runSql(BAD_SQL))
  return results.length
}

async function checkFailure(
  api: OperatorApi,
  id: string,
  said: { ok: true } | { ok: false; reason: string },
): Promise<void> {
  const answers = await api.all(`/queries/${id}/answers`, queryAnswer)
  const [first] = answers
  const reason = said.ok ? '' : said.reason
  expect(
    answers.length === 1 && first?.status === 'failed' && first.message === reason,
    `a query that the agent refuses with "${reason}" has the answers ${JSON.stringify(answers)}`,
  )
}

function expectCounts({ status, counts }: Query, wantedStatus: Query['status'], wanted: Counts): void {
  const same = (Object.keys(wanted) as (keyof Counts)[]).every((name) => counts[name] === wanted[name])
  expect(
    same && status === wantedStatus,
    `a query is ${status} with ${JSON.stringify(counts)}, not ${wantedStatus} with ${JSON.stringify(wanted)}`,
  )
}

/** Rows of one answer come in no promised order. */
function sortedTexts(rows: readonly object[]): string[] {
  return rows.map((row) => JSON.stringify(row)).toSorted()
}
