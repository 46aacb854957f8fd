/** /environments/{env}/queries/{id}/stragglers and …/rerun: who has not answered and why, and asking them again. */

import { createRoute, z } from '@hono/zod-openapi'
import { distributedIntervalOption } from '../db/nodes.ts'
import { insertQuery, type QueryRow } from '../db/queries.ts'
import { onlineForS } from '../fleet/online.ts'
import { STRAGGLER_REASONS, type StragglerReason } from '../fleet/straggler.ts'
import { sha256HexOfText, timeOrderedUuid } from '../lib/bytes.ts'
import { rfc3339, rfc3339OrNull } from '../lib/time.ts'
import { NO_ANSWERS } from '../queries/answer.ts'
import { nodesToAskAgain, pageStragglers, type Straggler } from '../queries/stragglers.ts'
import { environmentChangeNote } from './change-note.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironmentWithId, jsonBody, published, replies, repliesList, time } from './describe.ts'
import { cursorOf, numberKey, pagingQuery } from './paging.ts'
import { conflict } from './problem.ts'
import { publishEnvironment } from './publish.ts'
import { expiresInSeconds } from './queries.ts'
import { queryWithResults, querySchema, shownQuery } from './query-view.ts'

const PATH = '/environments/{env}/queries/{id}'

const stragglerSchema = z
  .object({
    nodeId: z.string(),
    hostname: z.string(),
    reason: z.enum(STRAGGLER_REASONS),
    offers: z.int().openapi({ description: 'How often it was handed the query' }),
    lastOfferedAt: time.nullable(),
    lastSeenAt: time.openapi({ description: 'Of an offline node: since when it is away' }),
    message: z.string().openapi({ description: 'Of an answer that failed' }),
  })
  .openapi('QueryStraggler')

const rerunBody = z.strictObject({ only: z.enum(['unanswered', 'failed']), expiresInSeconds })

/** `?reason=` takes one reason or several, separated by commas. */
const reasonFilter = z
  .string()
  .transform((text) => text.split(','))
  .pipe(z.array(z.enum(STRAGGLER_REASONS)))
  .optional()

export function addQueryStragglerRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: `${PATH}/stragglers`,
      request: {
        params: inEnvironmentWithId,
        query: z.object({
          ...pagingQuery(numberKey),
          reason: reasonFilter.openapi({
            type: 'string',
            description: `Separated by commas: ${STRAGGLER_REASONS.join(', ')}`,
          }),
        }),
      },
      responses: repliesList(stragglerSchema),
    }),
    async (c) => {
      const row = await queryWithResults(c, c.req.valid('param').id)
      if (row instanceof Response) return row
      const { cursor, limit, reason } = c.req.valid('query')
      return c.json(await stragglerPage(c, row, cursor?.[0] ?? -1, limit, reason ?? null))
    },
  )
  routes.openapi(
    createRoute({
      method: 'post',
      path: `${PATH}/rerun`,
      request: { params: inEnvironmentWithId, body: jsonBody(rerunBody) },
      responses: replies(201, 'A new query for those nodes', querySchema.extend(published)),
    }),
    async (c) => {
      const row = await queryWithResults(c, c.req.valid('param').id)
      return row instanceof Response ? row : rerun(c, row, c.req.valid('json'))
    },
  )
}

async function stragglerPage(
  c: OperatorContext,
  row: QueryRow,
  afterOrdinal: number,
  limit: number,
  reasons: StragglerReason[] | null,
) {
  const interval = await distributedIntervalOption(c.var.db, row.environmentId)
  const { items, nextOrdinal } = await pageStragglers(c.env, c.var.db, row, {
    afterOrdinal,
    limit,
    reasons: reasons === null ? null : new Set(reasons),
    onlineSinceMs: c.var.nowMs - onlineForS(interval) * 1_000,
  })
  return { items: items.map(shown), nextCursor: nextOrdinal === null ? null : cursorOf([nextOrdinal]) }
}

function shown({ node, reason, standing, lastSeenAtMs }: Straggler): z.infer<typeof stragglerSchema> {
  return {
    nodeId: node.id,
    hostname: node.hostname,
    reason,
    offers: standing.offers,
    lastOfferedAt: rfc3339OrNull(standing.lastOfferedAtMs),
    lastSeenAt: rfc3339(lastSeenAtMs),
    message: standing.answer?.message ?? '',
  }
}

async function rerun(
  c: OperatorContext,
  row: QueryRow,
  body: { only: 'unanswered' | 'failed'; expiresInSeconds: number },
): Promise<Response> {
  if (row.kind !== 'query') return conflict('', 'a carve is asked for again under /carves')
  const { only } = body
  const nodes = await nodesToAskAgain(c.env, c.var.db, row, only)
  if (nodes.size === 0) return conflict('/only', only === 'failed' ? 'no node failed' : 'every node answered')
  const id = timeOrderedUuid(c.var.nowMs)
  // osqueryd knows a query that it was running when it died by its text, for a day (spec 5.3): a new text runs.
  const sql = only === 'failed' ? `${row.sql}\n-- again: ${id}` : row.sql
  const note = environmentChangeNote(c, 'query.rerun', id, {
    of: row.id,
    only,
    targeted: nodes.size,
    sqlSha256: await sha256HexOfText(sql),
  })
  const inserted = await insertQuery(c.var.db, note, c.var.environment, {
    id,
    kind: 'query',
    sql,
    targets: { rerun: { query: row.id, only } },
    nodes,
    expiresAtMs: c.var.nowMs + body.expiresInSeconds * 1_000,
    logResults: row.logResults,
    discovery: row.discovery,
    label: row.label,
    hidden: row.hidden,
    maxRowsPerNode: row.maxRowsPerNode,
  })
  const live = await publishEnvironment(c.env, row.environmentId, inserted.revision)
  return c.json(
    { ...(await shownQuery(c, inserted.row, NO_ANSWERS)), revision: inserted.revision, live },
    201,
  )
}
