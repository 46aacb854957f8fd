/** POST /environments/{env}/nodes/{id}/query: one node, now. Waits for its answer, and leaves the query open. */

import { createRoute, z } from '@hono/zod-openapi'
import { distributedIntervalOption, findNode, type NodeRow } from '../db/nodes.ts'
import { insertQuery, type QueryRow } from '../db/queries.ts'
import { NodeSet } from '../fleet/node-set.ts'
import { distributedIntervalS } from '../fleet/online.ts'
import { nodeStateOf } from '../fleet/standing.ts'
import { sha256HexOfText, timeOrderedUuid } from '../lib/bytes.ts'
import { Deadline } from '../lib/deadline.ts'
import { NO_ANSWERS } from '../queries/answer.ts'
import { pageAnswers, pageResults } from '../queries/read.ts'
import { base64OfRow } from '../queries/row-text.ts'
import { answerShardStub } from '../queries/shard-name.ts'
import { shardOf } from '../snapshot/remaining.ts'
import { environmentChangeNote } from './change-note.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironmentWithId, jsonBody, replies } from './describe.ts'
import { reasonOf } from './failure.ts'
import { conflict, notFound } from './problem.ts'
import { publishEnvironment } from './publish.ts'
import { expiresInSeconds, sqlText } from './queries.ts'
import { querySchema, shownQuery } from './query-view.ts'

/** Proxies between cut longer requests. */
export const MAX_WAIT_S = 120
/** Added to the node's interval where nobody says how long to wait: it has to run the query, too. */
const WAIT_MARGIN_S = 10
/** A held node answers within a second: who waits for it should not be what takes longest. Others take their interval. */
const LOOK_FAST_FOR_MS = 3_000
const LOOK_FAST_EVERY_MS = 75
const LOOK_EVERY_MS = 300
const LOOK_WITHIN_MS = 3_000
const MAX_ROWS = 1_000

const nodeQueryBody = z.strictObject({
  sql: sqlText,
  waitSeconds: z
    .int()
    .min(0, 'is less than 0')
    .max(MAX_WAIT_S, `is more than ${MAX_WAIT_S}`)
    .optional()
    .openapi({ description: "Without it: the node's distributed interval and 10 s, at most 120 s" }),
  expiresInSeconds,
})

const nodeQuerySchema = z
  .object({
    query: querySchema,
    answer: z
      .object({
        status: z.enum(['ok', 'failed']),
        message: z.string(),
        rowCount: z.int(),
        truncated: z.boolean(),
        stats: z.record(z.string(), z.unknown()),
        rows: z.array(z.record(z.string(), z.string())),
        rowsBase64: z
          .record(z.string(), z.string())
          .optional()
          .openapi({ description: 'By index: rows that are not UTF-8, as the agent wrote them' }),
        nextCursor: z.string().nullable().openapi({ description: 'For the rows after these, at …/results' }),
      })
      .nullable()
      .openapi({ description: 'Null: not yet. The query stays open' }),
  })
  .openapi('NodeQuery')

export function addNodeQueryRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'post',
      path: '/environments/{env}/nodes/{id}/query',
      request: { params: inEnvironmentWithId, body: jsonBody(nodeQueryBody) },
      responses: {
        ...replies(200, 'What the node answered', nodeQuerySchema),
        ...replies(202, 'It has not answered yet', nodeQuerySchema),
      },
    }),
    async (c) => {
      const node = await findNode(c.var.db, c.var.environment.id, c.req.valid('param').id)
      if (node === null) return notFound('node')
      // As targets say of nodes: who waits for approval is asked nothing, and who is blocked never answers.
      const state = nodeStateOf(node)
      if (state === 'pending' || state === 'blocked')
        return conflict('', `the node is ${state}: nobody asks it anything`)
      return queryNode(c, node, c.req.valid('json'))
    },
  )
}

async function queryNode(
  c: OperatorContext,
  node: NodeRow,
  body: { sql: string; waitSeconds?: number | undefined; expiresInSeconds: number },
): Promise<Response> {
  const row = await openQuery(c, node, body)
  c.executionCtx.waitUntil(accelerate(c, row))
  const waitS = body.waitSeconds ?? (await defaultWaitS(c))
  const answered = await waitForAnswer(c, row, node.ordinal, Date.now() + waitS * 1_000)
  const query = JSON.stringify(await shownQuery(c, row, answered ? undefined : NO_ANSWERS))
  const answer = answered ? await answerText(c, row) : 'null'
  const headers = { 'content-type': 'application/json' }
  return c.body(`{"query":${query},"answer":${answer}}`, answer === 'null' ? 202 : 200, headers)
}

async function openQuery(
  c: OperatorContext,
  node: NodeRow,
  { sql, expiresInSeconds: lifeS }: { sql: string; expiresInSeconds: number },
): Promise<QueryRow> {
  const id = timeOrderedUuid(c.var.nowMs)
  const targets = { nodes: [node.id] }
  const sqlSha256 = await sha256HexOfText(sql)
  const note = environmentChangeNote(c, 'query.create', id, { targets, targeted: 1, sqlSha256 })
  const { row, revision } = await insertQuery(c.var.db, note, c.var.environment, {
    id,
    kind: 'query',
    sql,
    targets,
    nodes: NodeSet.of([node.ordinal]),
    expiresAtMs: c.var.nowMs + lifeS * 1_000,
    logResults: true,
  })
  await publishEnvironment(c.env, row.environmentId, revision)
  return row
}

/** Whoever waits for one node watches it. */
async function accelerate(c: OperatorContext, row: QueryRow): Promise<void> {
  try {
    await c.env.ENVIRONMENT.getByName(row.environmentId).watch(row.number)
  } catch (error) {
    console.warn(JSON.stringify({ event: 'not-accelerated', reason: reasonOf(error) }))
  }
}

async function defaultWaitS(c: OperatorContext): Promise<number> {
  const interval = await distributedIntervalOption(c.var.db, c.var.environment.id)
  return Math.min(MAX_WAIT_S, distributedIntervalS(interval) + WAIT_MARGIN_S)
}

/** Looks until the node has answered. A shard that is away for a moment is asked again. */
async function waitForAnswer(
  c: OperatorContext,
  row: QueryRow,
  ordinal: number,
  untilMs: number,
): Promise<boolean> {
  const shard = answerShardStub(c.env, row.environmentId, row.shards, shardOf(ordinal, row.shards))
  const fastUntilMs = Date.now() + LOOK_FAST_FOR_MS
  while (Date.now() < untilMs) {
    try {
      const [standing] = await new Deadline(LOOK_WITHIN_MS).run(shard.standings(row.number, [ordinal]))
      if (standing?.answer) return true
    } catch (error) {
      console.warn(JSON.stringify({ event: 'answer-not-seen', reason: reasonOf(error) }))
    }
    await scheduler.wait(Date.now() < fastUntilMs ? LOOK_FAST_EVERY_MS : LOOK_EVERY_MS)
  }
  return false
}

/** The answer with its first rows, as the agent wrote them. */
async function answerText(c: OperatorContext, row: QueryRow): Promise<string> {
  const [answers, results] = await Promise.all([
    pageAnswers(c.env, row.environmentId, row, null, 1),
    pageResults(c.env, row.environmentId, row, null, MAX_ROWS),
  ])
  const [answer] = answers.items
  if (answer === undefined) return 'null'
  const { status, message, rowCount, truncated, stats } = answer
  const members = JSON.stringify({ status, message, rowCount, truncated }).slice(1, -1)
  const rows = results.items.map(({ columns }) => columns)
  const odd = rows.flatMap((row, index) => (row.isWellFormed() ? [] : [[index, base64OfRow(row)] as const]))
  const inBase64 = odd.length === 0 ? '' : `"rowsBase64":${JSON.stringify(Object.fromEntries(odd))},`
  const rowsText = rows.map((row) => row.toWellFormed()).join(',')
  return `{${members},"stats":${stats},"rows":[${rowsText}],${inBase64}"nextCursor":${JSON.stringify(results.nextCursor)}}`
}
