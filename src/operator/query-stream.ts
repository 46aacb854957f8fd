/** /environments/{env}/queries/{id}/stream and …/watch: a query as it is answered. */

import { createRoute, z } from '@hono/zod-openapi'
import type { QueryRow } from '../db/queries.ts'
import { sha256HexOfText } from '../lib/bytes.ts'
import { rfc3339 } from '../lib/time.ts'
import { SUBPROTOCOL_HEADER, TOKEN_HASH_HEADER, WATCHED_QUERY_HEADER } from '../queries/feed.ts'
import type { WatchedQuery } from '../queries/feed-store.ts'
import { feedStub } from '../queries/shard-name.ts'
import { readPlace } from '../queries/viewer-place.ts'
import { bearerToken, SUBPROTOCOL } from './authenticate.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironmentWithId, replies, time } from './describe.ts'
import { unprocessable } from './problem.ts'
import { queryOfPath, queryWithResults } from './query-view.ts'

const PATH = '/environments/{env}/queries/{id}'
/** Rows that a WebSocket viewer takes before it has said anything. */
const FIRST_CREDITS = 1_000
const MAX_FIRST_CREDITS = 1_000_000

const watchSchema = z
  .object({
    open: z.boolean(),
    acceleratedUntil: time.openapi({ description: 'Unless something more is done' }),
  })
  .openapi('QueryWatch')

export function addQueryStreamRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: `${PATH}/stream`,
      request: {
        params: inEnvironmentWithId,
        query: z.object({
          cursor: z.string().optional().openapi({ description: '`cursor` of a line: go on after it' }),
          credits: z
            .string()
            .regex(/^\d{1,7}$/, 'is not a number')
            .transform(Number)
            .pipe(z.number().max(MAX_FIRST_CREDITS, `is more than ${MAX_FIRST_CREDITS}`))
            .optional()
            .openapi({
              type: 'integer',
              default: FIRST_CREDITS,
              description: 'WebSocket: rows to begin with',
            }),
        }),
      },
      responses: replies(
        200,
        'NDJSON: progress, errors, rows as they come, the end; or a WebSocket',
        z.string(),
      ),
    }),
    async (c) => {
      const row = await queryWithResults(c, c.req.valid('param').id)
      if (row instanceof Response) return row
      const { cursor, credits } = c.req.valid('query')
      if (cursor !== undefined && readPlace(cursor, row.shards) === null)
        return unprocessable({ pointer: 'cursor', detail: 'is not a cursor of this stream' })
      return connect(c, row, cursor, credits ?? FIRST_CREDITS)
    },
  )
  routes.openapi(
    createRoute({
      method: 'post',
      path: `${PATH}/watch`,
      request: { params: inEnvironmentWithId },
      responses: replies(200, 'Its nodes poll fast for ten minutes from now', watchSchema),
    }),
    async (c) => {
      const row = await queryOfPath(c, c.req.valid('param').id)
      if (row instanceof Response) return row
      const watched = await c.env.ENVIRONMENT.getByName(row.environmentId).watch(row.number)
      return c.json({ open: watched.open, acceleratedUntil: rfc3339(watched.acceleratedUntilMs) })
    },
  )
}

async function connect(
  c: OperatorContext,
  row: QueryRow,
  cursor: string | undefined,
  credits: number,
): Promise<Response> {
  const url = new URL('https://feed/')
  url.searchParams.set('credits', String(credits))
  if (cursor !== undefined) url.searchParams.set('cursor', cursor)
  const headers = new Headers({
    [WATCHED_QUERY_HEADER]: JSON.stringify(watchedQuery(row)),
    [TOKEN_HASH_HEADER]: await sha256HexOfText(bearerToken(c.req.raw.headers) ?? ''),
  })
  const upgrade = c.req.header('upgrade')
  if (upgrade !== undefined) headers.set('upgrade', upgrade)
  const offered = (c.req.header('sec-websocket-protocol') ?? '').split(',').map((name) => name.trim())
  // The server has to take one of the subprotocols that a browser offers, and the token is not the one.
  if (offered.includes(SUBPROTOCOL)) headers.set(SUBPROTOCOL_HEADER, SUBPROTOCOL)
  return feedStub(c.env, row.environmentId, row.number).fetch(url, { headers })
}

function watchedQuery(row: QueryRow): WatchedQuery {
  const { environmentId, id: queryId, number, shards, targeted, status, expiresAtMs, lateFrom } = row
  return { format: 1, environmentId, queryId, number, shards, targeted, status, expiresAtMs, lateFrom }
}
