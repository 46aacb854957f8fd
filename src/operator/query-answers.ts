/** /environments/{env}/queries/{id}/results and /answers: what nodes said, newest first. */

import { createRoute, z } from '@hono/zod-openapi'
import type { QueryRow } from '../db/queries.ts'
import { hostnamesOf } from '../db/targets.ts'
import { rfc3339 } from '../lib/time.ts'
import { BadCursor, pageAnswers, pageResults, type Page } from '../queries/read.ts'
import { ALL_ROWS } from '../queries/row-filter.ts'
import { columnsMembers } from '../queries/row-text.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironmentWithId, repliesList, time } from './describe.ts'
import { pagingQuery, timeKey } from './paging.ts'
import { bothOrNeither } from './log-filter.ts'
import { unprocessable } from './problem.ts'
import { queryWithResults } from './query-view.ts'
import { rowFilterOf, rowFilterQuery } from './row-filter-query.ts'

const resultSchema = z
  .object({
    nodeId: z.string(),
    hostname: z.string(),
    receivedAt: time,
    columns: z.record(z.string(), z.string()),
    columnsBase64: z.string().optional().openapi({
      description: 'The row as the agent wrote it, where it is not UTF-8: `columns` has U+FFFD then',
    }),
  })
  .openapi('QueryResult')
const answerSchema = z
  .object({
    nodeId: z.string(),
    hostname: z.string(),
    receivedAt: time,
    status: z.enum(['ok', 'failed']),
    message: z.string(),
    rowCount: z.int(),
    truncated: z.boolean(),
    stats: z.record(z.string(), z.unknown()),
  })
  .openapi('QueryAnswer')

const request = {
  params: inEnvironmentWithId,
  // The cursor is the answer shards' own: it is handed through as it is.
  query: z.object({ limit: pagingQuery(timeKey).limit, cursor: z.string().optional() }),
}

export function addQueryAnswerRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/environments/{env}/queries/{id}/results',
      request: { ...request, query: request.query.extend(rowFilterQuery).check(bothOrNeither) },
      responses: repliesList(resultSchema),
    }),
    async (c) => {
      const { cursor = null, limit, node, column, value } = c.req.valid('query')
      const isFiltered = node !== undefined || column !== undefined
      const filter = isFiltered ? rowFilterOf({ node, column, value }) : ALL_ROWS
      return answerPage(
        c,
        c.req.valid('param').id,
        (row) => pageResults(c.env, row.environmentId, row, cursor, limit, filter),
        (item, start) => `${start},${columnsMembers(item.columns)}}`,
      )
    },
  )
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/environments/{env}/queries/{id}/answers',
      request,
      responses: repliesList(answerSchema),
    }),
    async (c) => {
      const { cursor = null, limit } = c.req.valid('query')
      return answerPage(
        c,
        c.req.valid('param').id,
        (row) => pageAnswers(c.env, row.environmentId, row, cursor, limit),
        ({ status, message, rowCount, truncated, stats }, start) => {
          const members = JSON.stringify({ status, message, rowCount, truncated }).slice(1, -1)
          return `${start},${members},"stats":${stats}}`
        },
      )
    },
  )
}

/** A page as JSON text; `textOf` completes an item whose beginning (node and time) is given. */
async function answerPage<Item extends { nodeId: string; receivedAtMs: number }>(
  c: OperatorContext,
  queryId: string,
  read: (row: QueryRow) => Promise<Page<Item>>,
  textOf: (item: Item, start: string) => string,
): Promise<Response> {
  const row = await queryWithResults(c, queryId)
  if (row instanceof Response) return row
  const page = await readPage(() => read(row))
  if (page === 'bad-cursor')
    return unprocessable({ pointer: 'cursor', detail: 'is not a cursor of this list' })
  const hostnames = await hostnamesOf(
    c.var.db,
    row.environmentId,
    page.items.map(({ nodeId }) => nodeId),
  )
  const items = page.items.map((item) => {
    const { nodeId, receivedAtMs } = item
    const hostname = hostnames.get(nodeId) ?? ''
    const start = JSON.stringify({ nodeId, hostname, receivedAt: rfc3339(receivedAtMs) }).slice(0, -1)
    return textOf(item, start)
  })
  const text = `{"items":[${items.join(',')}],"nextCursor":${JSON.stringify(page.nextCursor)}}`
  return c.body(text, 200, { 'content-type': 'application/json' })
}

async function readPage<T>(read: () => Promise<T>): Promise<T | 'bad-cursor'> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof BadCursor) return 'bad-cursor'
    throw error
  }
}
