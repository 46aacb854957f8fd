/** A query as operators see it: its definition from D1, its counts from its answer shards. */

import { z } from '@hono/zod-openapi'
import { findQuery, type QueryRow } from '../db/queries.ts'
import { queryCounts, queryStatus } from '../fleet/query-status.ts'
import { Deadline } from '../lib/deadline.ts'
import { rfc3339, rfc3339OrNull } from '../lib/time.ts'
import { NO_ANSWERS, type AnswerCounts } from '../queries/answer.ts'
import { readCounts, readManyCounts } from '../queries/read.ts'
import { answerShardStub } from '../queries/shard-name.ts'
import type { OperatorContext } from './context.ts'
import { time } from './describe.ts'
import { reasonOf } from './failure.ts'
import { gone, notFound } from './problem.ts'

/** A shard that does not count in this time is an outage. */
const COUNTS_WITHIN_MS = 2_000
/** What could not be erased by then, the environment's object erases later. */
const ERASE_WITHIN_MS = 3_000

export const countsSchema = z.object({
  targeted: z.int(),
  offered: z.int().openapi({ description: 'Were handed it at least once' }),
  answered: z.int().openapi({ description: 'Failed ones included' }),
  failed: z.int().openapi({ description: 'Denylisted ones included' }),
  denylisted: z.int().openapi({ description: 'It was running when osqueryd died the last time' }),
  notApplicable: z.int().openapi({ description: 'The discovery query said no' }),
  expired: z.int().openapi({ description: 'Pending when the query expired' }),
  pending: z.int().openapi({ description: 'Neither answered nor found not to apply' }),
})

export const querySchema = z
  .object({
    id: z.string(),
    kind: z.enum(['query', 'carve']),
    sql: z.string(),
    targets: z.record(z.string(), z.unknown()),
    status: z.enum(['open', 'complete', 'stopped', 'expired']),
    createdAt: time,
    createdBy: z.string(),
    label: z.string().nullable(),
    hidden: z.boolean(),
    maxRowsPerNode: z.int().nullable(),
    includeLateEnrollments: z.boolean(),
    webhook: z
      .object({
        url: z.string(),
        attempts: z.int(),
        deliveredAt: time.nullable(),
        error: z.string().nullable().openapi({ description: 'Of the last attempt' }),
      })
      .nullable(),
    discovery: z.string().nullable(),
    logResults: z.boolean().openapi({ description: 'Whether the results become log lines' }),
    expiresAt: time,
    resultsErasedAt: time.nullable().openapi({ description: 'Its results were kept until then' }),
    counts: countsSchema,
  })
  .openapi('Query')

/** The query that the path names inside its environment, or the 404. */
export async function queryOfPath(c: OperatorContext, id: string): Promise<QueryRow | Response> {
  return (await findQuery(c.var.db, c.var.environment.id, id)) ?? notFound('query')
}

/** The same, where its results are still kept; else the 410. */
export async function queryWithResults(c: OperatorContext, id: string): Promise<QueryRow | Response> {
  const row = await queryOfPath(c, id)
  return row instanceof Response || row.resultsErasedAtMs === null ? row : gone('results of this query')
}

/** One query. Throws where its shards do not answer. */
export async function shownQuery(c: OperatorContext, row: QueryRow, known?: AnswerCounts) {
  const answers =
    keptCounts(row) ??
    known ??
    (await new Deadline(COUNTS_WITHIN_MS).run(readCounts(c.env, row.environmentId, row)))
  const counts = queryCounts(row, answers, c.var.nowMs)
  return {
    id: row.id,
    kind: row.kind,
    sql: row.sql,
    targets: JSON.parse(row.targets) as Record<string, unknown>,
    status: queryStatus(row, counts, c.var.nowMs),
    createdAt: rfc3339(row.createdAtMs),
    createdBy: row.createdBy,
    label: row.label,
    hidden: row.hidden,
    maxRowsPerNode: row.maxRowsPerNode,
    includeLateEnrollments: row.lateFrom !== null,
    webhook:
      row.webhookUrl === null
        ? null
        : {
            url: row.webhookUrl,
            attempts: row.webhookAttempts,
            deliveredAt: rfc3339OrNull(row.webhookDeliveredAtMs),
            error: row.webhookError,
          },
    discovery: row.discovery,
    logResults: row.logResults,
    expiresAt: rfc3339(row.expiresAtMs),
    resultsErasedAt: row.resultsErasedAtMs === null ? null : rfc3339(row.resultsErasedAtMs),
    counts,
  }
}

/** What became of its nodes, where its results are erased. */
function keptCounts({ finalCounts }: QueryRow): AnswerCounts | null {
  return finalCounts === null ? null : { ...NO_ANSWERS, ...(JSON.parse(finalCounts) as AnswerCounts) }
}

/** Several, with one call for each shard. */
export async function shownQueries(c: OperatorContext, rows: readonly QueryRow[]) {
  if (rows.length === 0) return []
  const counted = readManyCounts(c.env, c.var.environment.id, rows)
  const counts = await new Deadline(COUNTS_WITHIN_MS).run(counted)
  return Promise.all(rows.map((row, index) => shownQuery(c, row, counts[index] ?? NO_ANSWERS)))
}

/** Erases a query's answers from its shards now, as far as they answer. */
export async function eraseAnswers(c: OperatorContext, row: QueryRow): Promise<void> {
  const shards = Array.from({ length: row.shards }, (_, shard) =>
    answerShardStub(c.env, row.environmentId, row.shards, shard).erase(row.number),
  )
  try {
    await new Deadline(ERASE_WITHIN_MS).run(Promise.all(shards))
  } catch (error) {
    console.warn(JSON.stringify({ event: 'erase-later', reason: reasonOf(error) }))
  }
}
