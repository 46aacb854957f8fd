/** /environments/{env}/logs: the lines that agents sent, from the archive. */

import { createRoute, z } from '@hono/zod-openapi'
import { isUuid } from '../lib/bytes.ts'
import { LINE_TYPES } from '../logs/line.ts'
import { logPageBody, nodesWithoutHostname } from '../logs/log-item.ts'
import { nodeFactsOf } from '../logs/node-facts.ts'
import { readLogs } from '../logs/read.ts'
import type { OperatorRoutes } from './context.ts'
import { inEnvironment, repliesList, time } from './describe.ts'
import { cursorOf, pagingQuery } from './paging.ts'

/** Time, place, id, newest object: see LogCursor. */
const cursorKey = z.tuple([z.int(), z.int(), z.string(), z.int()])

const RFC_3339 = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$/

/** A point in time as a parameter, in milliseconds. */
export const timeParameter = z
  .string()
  .refine(
    (text) => RFC_3339.test(text) && !Number.isNaN(Date.parse(text)),
    'is not a time of RFC 3339, like 2026-11-21T08:00:00Z',
  )
  .transform((text) => Date.parse(text))
  .optional()
  .openapi({ type: 'string', format: 'date-time' })

const logQuery = z.object({
  node: z.string().refine(isUuid, 'is not the id of a node').optional(),
  type: z
    .enum(LINE_TYPES, `is none of ${LINE_TYPES.join(', ')}`)
    .optional()
    .openapi({ description: '`result` includes snapshots' }),
  name: z.string().optional().openapi({ description: 'Exact name of a scheduled query' }),
  since: timeParameter,
  until: timeParameter,
  ...pagingQuery(cursorKey),
})

const logSchema = z
  .object({
    eventId: z.string(),
    nodeId: z.string().nullable().openapi({ description: 'Null for type `audit`' }),
    hostname: z.string().nullable(),
    platform: z.string().nullable(),
    tags: z.array(z.string()),
    type: z.enum(LINE_TYPES),
    name: z.string().openapi({
      description: "As the agent wrote it; a live query's id for type `query`, the action for type `audit`",
    }),
    pack: z.string().nullable(),
    query: z.string().nullable().openapi({ description: "The scheduled query's name inside its pack" }),
    configurationVersion: z.int().nullable(),
    receivedAt: time,
    line: z
      .record(z.string(), z.unknown())
      .optional()
      .openapi({ description: "The agent's JSON, byte for byte" }),
    lineBase64: z.string().optional().openapi({ description: 'In place of `line` where it is not UTF-8' }),
  })
  .openapi('LogLine')

export function addLogRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/environments/{env}/logs',
      request: { params: inEnvironment, query: logQuery },
      responses: repliesList(logSchema),
    }),
    async (c) => {
      const { node, type, name, since, until, limit, cursor } = c.req.valid('query')
      const { lines, nextCursor } = await readLogs(c.env, c.var.environment.id, {
        nodeId: node ?? null,
        type: type ?? null,
        name: name === undefined || name === '' ? null : name,
        sinceMs: since ?? null,
        untilMs: until ?? null,
        limit,
        cursor,
      })
      const facts = await nodeFactsOf(c.env, nodesWithoutHostname(lines))
      const body = logPageBody(lines, facts, nextCursor === null ? null : cursorOf(nextCursor))
      return new Response(body, { headers: { 'content-type': 'application/json' } })
    },
  )
}
