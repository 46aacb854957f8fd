/** /environments/{env}/logs: the lines that agents sent, from the archive. */

import { createRoute, z } from '@hono/zod-openapi'
import { rfc3339 } from '../lib/time.ts'
import { LINE_TYPES } from '../logs/line.ts'
import { logPageBody, nodesWithoutHostname } from '../logs/log-item.ts'
import { nodeFactsOf } from '../logs/node-facts.ts'
import { readLogs } from '../logs/read.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironment, inEnvironmentWithId, replies, time } from './describe.ts'
import { bothOrNeither, lineFilterOf, lineParameters, nodeParameter } from './log-filter.ts'
import { isKnownNode } from './known-node.ts'
import { cursorOf, pagingQuery } from './paging.ts'
import { notFound } from './problem.ts'

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

const searchParameters = {
  ...lineParameters,
  since: timeParameter,
  until: timeParameter,
  ...pagingQuery(cursorKey),
}

const logQuery = z.object({ node: nodeParameter, ...searchParameters }).check(bothOrNeither)
const nodeLogQuery = z.object(searchParameters).check(bothOrNeither)

type LogQuery = z.infer<typeof logQuery>

/** A line, in every reply that has some. */
export const logSchema = z
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

const pageSchema = z.object({
  items: z.array(logSchema),
  nextCursor: z.string().nullable().openapi({
    description:
      'The next page. There may be one although this has no items: a search stops when it was enough work',
  }),
  searchedThrough: time.nullable().openapi({
    description: 'Everything received after this time was looked at; null: everything that was asked for',
  }),
  searched: z.object({
    objects: z.int(),
    bytes: z.int().openapi({ description: 'Inflated' }),
  }),
})

export function addLogRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/environments/{env}/logs',
      request: { params: inEnvironment, query: logQuery },
      responses: replies(200, 'A page, newest first', pageSchema),
    }),
    (c) => replyWithLogs(c, c.req.valid('query')),
  )
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/environments/{env}/nodes/{id}/logs',
      request: { params: inEnvironmentWithId, query: nodeLogQuery },
      responses: replies(200, 'A page, newest first', pageSchema),
    }),
    async (c) => {
      const { id } = c.req.valid('param')
      if (!(await isKnownNode(c, id))) return notFound('node')
      return replyWithLogs(c, { ...c.req.valid('query'), node: id })
    },
  )
}

async function replyWithLogs(c: OperatorContext, query: LogQuery): Promise<Response> {
  const { since, until, limit, cursor } = query
  const found = await readLogs(c.env, c.var.environment.id, {
    ...lineFilterOf(query),
    sinceMs: since ?? null,
    untilMs: until ?? null,
    limit,
    cursor,
  })
  const { lines, nextCursor, searchedThroughMs, searched } = found
  const facts = await nodeFactsOf(c.env, nodesWithoutHostname(lines))
  const body = logPageBody(lines, facts, {
    nextCursor: nextCursor === null ? null : cursorOf(nextCursor),
    searchedThrough: searchedThroughMs === null ? null : rfc3339(searchedThroughMs),
    searched,
  })
  return new Response(body, { headers: { 'content-type': 'application/json' } })
}
