/** /operator-tokens: who may use the admin route. */

import { createRoute, z } from '@hono/zod-openapi'
import {
  deleteOperatorToken,
  insertOperatorToken,
  listOperatorTokens,
  type OperatorTokenRow,
} from '../db/operator-tokens.ts'
import { randomText, sha256HexOfText } from '../lib/bytes.ts'
import { rfc3339 } from '../lib/time.ts'
import { changeNote } from './change-note.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { jsonBody, replies, repliesList, repliesNothing, time } from './describe.ts'
import { displayName } from './names.ts'
import { pageOf, pagingQuery, timeKey } from './paging.ts'
import { notFound, problem } from './problem.ts'
import { publishDirectory } from './publish.ts'

/** 32 random bytes are 43 characters; the prefix lets secret scanners find a leaked one. */
const TOKEN_PREFIX = 'oeo_'
const TOKEN_BYTES = 32

const tokenSchema = z
  .object({ id: z.string(), name: z.string(), createdAt: time, createdBy: z.string() })
  .openapi('OperatorToken')

export function addOperatorTokenRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/operator-tokens',
      request: { query: z.object(pagingQuery(timeKey)) },
      responses: repliesList(tokenSchema),
    }),
    async (c) => {
      const { cursor, limit } = c.req.valid('query')
      const rows = await listOperatorTokens(c.var.db, cursor, limit + 1)
      const page = pageOf(rows, limit, (row) => [row.createdAtMs, row.id])
      return c.json({ items: page.rows.map(shown), nextCursor: page.nextCursor })
    },
  )
  routes.openapi(
    createRoute({
      method: 'post',
      path: '/operator-tokens',
      request: { body: jsonBody(z.strictObject({ name: displayName })) },
      responses: replies(201, 'Made; the token is shown once', tokenSchema.extend({ token: z.string() })),
    }),
    async (c) => createToken(c, c.req.valid('json').name),
  )
  routes.openapi(
    createRoute({
      method: 'delete',
      path: '/operator-tokens/{id}',
      request: { params: z.object({ id: z.string() }) },
      responses: repliesNothing('Revoked at once'),
    }),
    async (c) => deleteToken(c, c.req.valid('param').id),
  )
}

async function createToken(c: OperatorContext, name: string): Promise<Response> {
  const token = TOKEN_PREFIX + randomText(TOKEN_BYTES)
  const row: OperatorTokenRow = {
    id: crypto.randomUUID(),
    name,
    tokenHash: await sha256HexOfText(token),
    createdAtMs: c.var.nowMs,
    createdBy: c.var.actor,
  }
  const note = changeNote(c, 'operator-token.create', row.id, { name })
  await publishDirectory(c.env, await insertOperatorToken(c.var.db, note, row))
  return c.json({ ...shown(row), token }, 201)
}

async function deleteToken(c: OperatorContext, id: string): Promise<Response> {
  const outcome = await deleteOperatorToken(c.var.db, changeNote(c, 'operator-token.delete', id), id)
  switch (outcome) {
    default:
      await publishDirectory(c.env, outcome)
      return new Response(null, { status: 204 })
    case 'unknown':
      return notFound('operator token')
    case 'last':
      return problem(409, 'This is the last operator token: nobody could get in any more.')
  }
}

function shown(row: OperatorTokenRow) {
  const { id, name, createdBy } = row
  return { id, name, createdAt: rfc3339(row.createdAtMs), createdBy }
}
