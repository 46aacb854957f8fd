/** /environments/{env}/queries: live queries. Their answers are in query-answers.ts. */

import { createRoute, z } from '@hono/zod-openapi'
import {
  insertQuery,
  listQueries,
  markQueryErased,
  stopQuery,
  type NewWebhook,
  type QueryRow,
} from '../db/queries.ts'
import { highestOrdinal } from '../db/environments.ts'
import { sha256HexOfText, timeOrderedUuid, utf8 } from '../lib/bytes.ts'
import { checkTarget } from '../lib/outgoing.ts'
import { sealSecrets } from '../logs/deliver/sealed-secrets.ts'
import { NO_ANSWERS } from '../queries/answer.ts'
import { feedStub } from '../queries/shard-name.ts'
import { environmentChangeNote } from './change-note.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import {
  inEnvironment,
  inEnvironmentWithId,
  jsonBody,
  published,
  replies,
  repliesList,
  repliesNothing,
} from './describe.ts'
import { reasonOf } from './failure.ts'
import { displayName } from './names.ts'
import { numberKey, pageOf, pagingQuery } from './paging.ts'
import { unprocessable } from './problem.ts'
import { deleted, publishEnvironment } from './publish.ts'
import { eraseAnswers, queryOfPath, querySchema, shownQueries, shownQuery } from './query-view.ts'
import { nodesOf, targetsSchema, unresolved } from './targets.ts'

/** A distributed read hands out the SQL of all open queries at once: keep each one small. */
const MAX_SQL_BYTES = 64 * 1_024
const SHORTEST_LIFE_S = 60
const LONGEST_LIFE_S = 30 * 86_400
const DEFAULT_LIFE_S = 86_400

/** How long a query or carve waits for its nodes. */
export const expiresInSeconds = z
  .int()
  .min(SHORTEST_LIFE_S, `is less than ${SHORTEST_LIFE_S}`)
  .max(LONGEST_LIFE_S, `is more than ${LONGEST_LIFE_S}`)
  .default(DEFAULT_LIFE_S)

/** SQL that agents are asked to run. */
export const sqlText = z
  .string()
  .refine((sql) => sql.trim() !== '', 'must not be blank')
  .refine((sql) => utf8(sql).length <= MAX_SQL_BYTES, `is larger than ${MAX_SQL_BYTES} bytes`)
  .refine((sql) => !sql.includes('\0'), 'has a NUL')

const MAX_ROWS_PER_NODE = 1_000_000

/** Told once, when the query is over: see queries/webhooks.ts. */
const webhookSchema = z.strictObject({
  url: z.string().max(2_048, 'is longer than 2048 characters'),
  hmacKey: z
    .string()
    .min(16, 'is shorter than 16 characters')
    .max(4_096, 'is longer than 4096 characters')
    .nullish()
    .openapi({ description: 'Signs it as the HTTPS sink does; never shown again' }),
})

const queryBody = z.strictObject({
  sql: sqlText,
  targets: targetsSchema,
  expiresInSeconds,
  discovery: sqlText.nullish().openapi({
    description:
      'It runs only where this SQL gives a row; elsewhere it does not apply. Use tables that every platform has: an ' +
      'unknown one makes an agent drop everything that it was offered with it',
  }),
  logResults: z
    .boolean()
    .default(true)
    .openapi({ description: 'Whether the results become log lines of type `query`, and go to sinks' }),
  label: displayName.nullish(),
  hidden: z.boolean().default(false).openapi({ description: 'Left out of the list of queries' }),
  maxNodes: z
    .int()
    .min(1, 'is less than 1')
    .nullish()
    .openapi({ description: 'A guard: where the targets mean more nodes, nothing is opened' }),
  maxRowsPerNode: z
    .int()
    .min(1, 'is less than 1')
    .max(MAX_ROWS_PER_NODE, `is more than ${MAX_ROWS_PER_NODE}`)
    .nullish()
    .openapi({ description: 'Rows beyond it are left out, and the answer is flagged `truncated`' }),
  webhook: webhookSchema.nullish(),
  includeLateEnrollments: z
    .boolean()
    .default(false)
    .openapi({
      description:
        'Nodes that enroll while it is open are asked too where the targets mean them, within about a minute; it is ' +
        'open until it expires or is stopped',
    }),
})

const listQuery = z.object({
  ...pagingQuery(numberKey),
  hidden: z
    .enum(['true', 'false'], 'is neither true nor false')
    .optional()
    .openapi({ description: 'true: hidden ones too' }),
})

const PATH = '/environments/{env}/queries'

export function addQueryRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'post',
      path: PATH,
      request: { params: inEnvironment, body: jsonBody(queryBody) },
      responses: replies(201, 'Opened', querySchema.extend(published)),
    }),
    async (c) => createQuery(c, c.req.valid('json')),
  )
  routes.openapi(
    createRoute({
      method: 'get',
      path: PATH,
      request: { params: inEnvironment, query: listQuery },
      responses: repliesList(querySchema),
    }),
    async (c) => {
      const { cursor, limit, hidden } = c.req.valid('query')
      const below = cursor?.[0] ?? null
      const rows = await listQueries(c.var.db, c.var.environment.id, below, limit + 1, hidden === 'true')
      const page = pageOf(rows, limit, (row) => [row.number])
      return c.json({ items: await shownQueries(c, page.rows), nextCursor: page.nextCursor })
    },
  )
  addOneQueryRoutes(routes)
}

function addOneQueryRoutes(routes: OperatorRoutes): void {
  const request = { params: inEnvironmentWithId }
  routes.openapi(
    createRoute({
      method: 'get',
      path: `${PATH}/{id}`,
      request,
      responses: replies(200, 'The query', querySchema),
    }),
    async (c) => {
      const row = await queryOfPath(c, c.req.valid('param').id)
      return row instanceof Response ? row : c.json(await shownQuery(c, row))
    },
  )
  routes.openapi(
    createRoute({
      method: 'post',
      path: `${PATH}/{id}/stop`,
      request,
      responses: replies(200, 'Stopped, or ended before', querySchema.extend(published)),
    }),
    async (c) => {
      const row = await queryOfPath(c, c.req.valid('param').id)
      return row instanceof Response ? row : stop(c, row)
    },
  )
  routes.openapi(
    createRoute({
      method: 'delete',
      path: `${PATH}/{id}`,
      request,
      responses: repliesNothing('The query and its results are gone'),
    }),
    async (c) => {
      const row = await queryOfPath(c, c.req.valid('param').id)
      return row instanceof Response ? row : erase(c, row)
    },
  )
}

async function createQuery(c: OperatorContext, body: z.infer<typeof queryBody>): Promise<Response> {
  const { targets, label, hidden, maxNodes, maxRowsPerNode } = body
  // Read first: who enrolls in between is late, and asked then.
  const lateFrom = body.includeLateEnrollments ? await highestOrdinal(c.var.db, c.var.environment.id) : null
  const nodes = await nodesOf(c, targets)
  if (!nodes.ok) return unresolved(nodes.reason)
  const targeted = nodes.value.size
  if (maxNodes !== undefined && maxNodes !== null && targeted > maxNodes)
    return unprocessable({
      pointer: '/targets',
      detail: `mean ${targeted} nodes, more than maxNodes (${maxNodes})`,
    })
  const refusal = body.webhook ? checkTarget(body.webhook.url, c.env.SINK_ALLOWED_HOSTS) : null
  if (refusal !== null && !refusal.ok)
    return unprocessable({ pointer: '/webhook/url', detail: refusal.reason })
  const id = timeOrderedUuid(c.var.nowMs)
  const note = environmentChangeNote(c, 'query.create', id, {
    targets,
    targeted,
    ...(label ? { label } : {}),
    sqlSha256: await sha256HexOfText(body.sql),
  })
  const { row, revision } = await insertQuery(c.var.db, note, c.var.environment, {
    id,
    kind: 'query',
    sql: body.sql,
    targets,
    nodes: nodes.value,
    expiresAtMs: c.var.nowMs + body.expiresInSeconds * 1_000,
    logResults: body.logResults,
    discovery: body.discovery ?? null,
    label: label ?? null,
    hidden,
    maxRowsPerNode: maxRowsPerNode ?? null,
    lateFrom,
    webhook: body.webhook ? await webhookOf(c, id, body.webhook) : null,
  })
  const live = await publishEnvironment(c.env, row.environmentId, revision)
  return c.json({ ...(await shownQuery(c, row, NO_ANSWERS)), revision, live }, 201)
}

async function webhookOf(
  c: OperatorContext,
  id: string,
  { url, hmacKey }: z.infer<typeof webhookSchema>,
): Promise<NewWebhook> {
  const secrets = hmacKey ? await sealSecrets(c.env.SIGNING_KEYS, id, { hmacKey }) : null
  return { url, secrets, origin: new URL(c.req.url).origin }
}

/** Stopping twice, or what has ended, changes nothing and says what is. */
async function stop(c: OperatorContext, row: QueryRow): Promise<Response> {
  const before = await shownQuery(c, row)
  if (before.status !== 'open') return c.json({ ...before, revision: c.var.environment.revision, live: true })
  const note = environmentChangeNote(c, 'query.stop', row.id)
  const revision = await stopQuery(c.var.db, note, row)
  const live = await publishEnvironment(c.env, row.environmentId, revision)
  tellViewers(c, row)
  return c.json({ ...before, status: 'stopped', revision, live })
}

async function erase(c: OperatorContext, row: QueryRow): Promise<Response> {
  const revision = await markQueryErased(c.var.db, environmentChangeNote(c, 'query.delete', row.id), row)
  // First nobody is offered it any more, then what was answered goes.
  const live = await publishEnvironment(c.env, row.environmentId, revision)
  await eraseAnswers(c, row)
  tellViewers(c, row)
  return deleted(revision, live)
}

/** Ends the streams of a query; its Feed hears of it within half a minute anyway. */
function tellViewers(c: OperatorContext, row: QueryRow): void {
  const told = feedStub(c.env, row.environmentId, row.number).changed('stopped')
  c.executionCtx.waitUntil(
    told.catch((error: unknown) => {
      console.warn(JSON.stringify({ event: 'viewers-not-told', reason: reasonOf(error) }))
    }),
  )
}
