/** /environments/{env}/sinks: destinations of log lines. */

import { createRoute, z } from '@hono/zod-openapi'
import { sinkConfigOf } from '../db/sink-definitions.ts'
import { listSinks } from '../db/sinks.ts'
import { openSink } from '../logs/deliver/deliver-batch.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import {
  inEnvironment,
  inEnvironmentWithId,
  jsonBody,
  replies,
  repliesList,
  repliesNothing,
} from './describe.ts'
import { pageOf, pagingQuery, timeKey } from './paging.ts'
import { notFound } from './problem.ts'
import { sinkBody, sinkPatch } from './sink-bodies.ts'
import { failureOf, testDelivery } from './sink-checks.ts'
import { SINKS_PATH, sinkOfPath } from './sink-path.ts'
import { changeSink, createSink, removeSink, setPaused } from './sink-saving.ts'
import { shownSink, sinkSchema } from './sink-view.ts'

const skipTest = z.object({
  skipTest: z
    .enum(['true', 'false'], 'is neither true nor false')
    .optional()
    .openapi({ description: 'Saves it without a test delivery: for a destination that is not there yet.' }),
})

export function addSinkRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'post',
      path: SINKS_PATH,
      description:
        'Delivers lines that are archived from now on; a replay brings those of before. One test line is sent to the ' +
        'destination first: where it does not get there nothing is saved.',
      request: { params: inEnvironment, query: skipTest, body: jsonBody(sinkBody) },
      responses: replies(201, 'Made', sinkSchema),
    }),
    async (c) => createSink(c, c.req.valid('json'), c.req.valid('query').skipTest === 'true'),
  )
  routes.openapi(
    createRoute({
      method: 'get',
      path: SINKS_PATH,
      request: { params: inEnvironment, query: z.object(pagingQuery(timeKey)) },
      responses: repliesList(sinkSchema),
    }),
    async (c) => {
      const { cursor, limit } = c.req.valid('query')
      const rows = await listSinks(c.var.db, c.var.environment.id, cursor, limit + 1)
      const page = pageOf(rows, limit, (row) => [row.createdAtMs, row.id])
      const items = await Promise.all(page.rows.map((row) => shownSink(c, row)))
      return c.json({ items, nextCursor: page.nextCursor })
    },
  )
  addOneSinkRoutes(routes)
  addSinkActionRoutes(routes)
}

function addOneSinkRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: `${SINKS_PATH}/{id}`,
      request: { params: inEnvironmentWithId },
      responses: replies(200, 'The sink', sinkSchema),
    }),
    async (c) => {
      const row = await sinkOfPath(c, c.req.valid('param').id)
      return row === null ? notFound('sink') : c.json(await shownSink(c, row))
    },
  )
  routes.openapi(
    createRoute({
      method: 'patch',
      path: `${SINKS_PATH}/{id}`,
      description:
        'Members that are not named stay as they are, inside of objects too; null takes a member of settings or ' +
        'secrets away. Whoever sends the sink to another origin writes its secrets again.',
      request: { params: inEnvironmentWithId, query: skipTest, body: jsonBody(sinkPatch) },
      responses: replies(200, 'Changed', sinkSchema),
    }),
    async (c) => {
      const { id } = c.req.valid('param')
      return changeSink(c, id, c.req.valid('json'), c.req.valid('query').skipTest === 'true')
    },
  )
  routes.openapi(
    createRoute({
      method: 'delete',
      path: `${SINKS_PATH}/{id}`,
      request: { params: inEnvironmentWithId },
      responses: repliesNothing('Nothing goes there any more; its quarantine is gone too'),
    }),
    async (c) => removeSink(c, c.req.valid('param').id),
  )
}

function addSinkActionRoutes(routes: OperatorRoutes): void {
  const request = { params: inEnvironmentWithId }
  for (const [verb, paused] of [
    ['pause', true],
    ['resume', false],
  ] as const) {
    routes.openapi(
      createRoute({
        method: 'post',
        path: `${SINKS_PATH}/{id}/${verb}`,
        description: paused
          ? 'It stays where it is; what comes meanwhile waits.'
          : 'It goes on where it was.',
        request,
        responses: replies(200, paused ? 'Paused' : 'Delivering', sinkSchema),
      }),
      async (c) => setPaused(c, c.req.valid('param').id, paused),
    )
  }
  routes.openapi(
    createRoute({
      method: 'post',
      path: `${SINKS_PATH}/{id}/test`,
      description: 'Sends one test line to the destination, really.',
      request,
      responses: replies(
        200,
        'What came of it',
        z.object({ delivered: z.boolean(), reason: z.string().nullable() }),
      ),
    }),
    async (c) => test(c, c.req.valid('param').id),
  )
}

async function test(c: OperatorContext, id: string): Promise<Response> {
  const row = await sinkOfPath(c, id)
  if (row === null) return notFound('sink')
  const config = sinkConfigOf(row)
  const opened = await openSink(c.env, config)
  if (!opened.ok) return c.json({ delivered: false, reason: opened.reason })
  const { timeoutSeconds } = config.delivery
  const outcome = await testDelivery(c.env, opened.value, { timeoutSeconds, nowMs: c.var.nowMs })
  const reason = failureOf(outcome)
  return c.json({ delivered: reason === null, reason })
}
