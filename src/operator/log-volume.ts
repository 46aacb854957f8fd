/**
 * /environments/{env}/logs/volume, …/logs/gaps, …/nodes/{id}/logs/counters: what compaction counted of log lines.
 */

import { createRoute, z } from '@hono/zod-openapi'
import { isUuid } from '../lib/bytes.ts'
import { Deadline } from '../lib/deadline.ts'
import { rfc3339, rfc3339OrNull } from '../lib/time.ts'
import { LINE_TYPES } from '../logs/line.ts'
import { readVolume } from '../logs/volume.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironment, inEnvironmentWithId, replies, repliesList, time } from './describe.ts'
import { isKnownNode } from './known-node.ts'
import { numberKey, pageOf, pagingQuery } from './paging.ts'
import { notFound, unprocessable } from './problem.ts'

const DAY_MS = 24 * 60 * 60_000
const MAX_DAYS = 92
const DEFAULT_DAYS = 7
const DEFAULT_TOP = 20
const MAX_TOP = 1_000
const INDEX_WITHIN_MS = 10_000

const dayParameter = z
  .string()
  .refine(
    (text) => /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text)),
    'is not a day like 2026-11-21',
  )
  .optional()
const nodeParameter = z.string().refine(isUuid, 'is not the id of a node').optional()

const volumeQuery = z.object({
  by: z.enum(['query', 'node', 'type'], 'is none of query, node, type').optional(),
  since: dayParameter.openapi({ description: 'First day (UTC); a week ago unless said' }),
  until: dayParameter.openapi({ description: 'Last day (UTC), in; today unless said' }),
  type: z.enum(LINE_TYPES, `is none of ${LINE_TYPES.join(', ')}`).optional(),
  node: nodeParameter,
  name: z.string().optional().openapi({ description: 'Exact name of a scheduled query' }),
  top: z
    .string()
    .regex(/^\d{1,4}$/, 'is not a number')
    .transform(Number)
    .pipe(z.number().min(1, 'is less than 1').max(MAX_TOP, `is more than ${MAX_TOP}`))
    .optional()
    .openapi({ type: 'integer', description: `Groups of each day, ${DEFAULT_TOP} unless said` }),
})

const volumeSchema = z.object({
  items: z.array(
    z.object({
      day: z.string(),
      group: z
        .string()
        .nullable()
        .openapi({ description: 'Name, node id or type; null: all others of the day' }),
      lines: z.int(),
      bytes: z.int().openapi({ description: "Of the agents' lines, without their envelopes" }),
    }),
  ),
  countedThrough: time
    .nullable()
    .openapi({ description: 'What was received later may not be counted yet; null: all is' }),
})

const findingSchema = z
  .object({
    id: z.int(),
    kind: z.enum(['gap', 'epoch', 'reset']).openapi({
      description:
        '`gap`: counters that never came, so lines were lost between agent and server; `epoch`: it began anew in ' +
        'another epoch; `reset`: in the same one, because its database was lost',
    }),
    nodeId: z.string(),
    name: z.string(),
    epoch: z.int(),
    from: z.int().nullable().openapi({ description: 'First missing counter' }),
    to: z.int().nullable(),
    after: time.nullable().openapi({ description: 'When the line before was received' }),
    before: time.openapi({ description: 'When the line behind was received' }),
  })
  .openapi('CounterFinding')

const counterSchema = z.object({
  name: z.string(),
  epoch: z.int(),
  counter: z.int(),
  receivedAt: time,
  fullSetAt: time.nullable().openapi({ description: 'When the last full first set (counter 0) came' }),
})

export function addLogVolumeRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/environments/{env}/logs/volume',
      request: { params: inEnvironment, query: volumeQuery },
      responses: replies(200, 'Lines and bytes a day, the largest groups first', volumeSchema),
    }),
    (c) => replyWithVolume(c, c.req.valid('query')),
  )
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/environments/{env}/logs/gaps',
      request: {
        params: inEnvironment,
        query: z.object({
          node: nodeParameter,
          name: z.string().optional(),
          kind: z.enum(['gap', 'epoch', 'reset'], 'is none of gap, epoch, reset').optional(),
          ...pagingQuery(numberKey),
        }),
      },
      responses: repliesList(findingSchema),
    }),
    async (c) => {
      const { node, name, kind, cursor, limit } = c.req.valid('query')
      const query = { nodeId: node ?? null, name: name ?? null, kind: kind ?? null }
      const found = await new Deadline(INDEX_WITHIN_MS).run(
        indexOf(c).findings({ ...query, before: cursor?.[0] ?? null, limit: limit + 1 }),
      )
      const page = pageOf(found, limit, ({ id }) => [id])
      const items = page.rows.map(({ afterMs, beforeMs, ...finding }) => ({
        ...finding,
        after: rfc3339OrNull(afterMs),
        before: rfc3339(beforeMs),
      }))
      return c.json({ items, nextCursor: page.nextCursor })
    },
  )
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/environments/{env}/nodes/{id}/logs/counters',
      request: { params: inEnvironmentWithId },
      responses: replies(200, 'How far each query is', z.object({ items: z.array(counterSchema) })),
    }),
    async (c) => {
      const { id } = c.req.valid('param')
      if (!(await isKnownNode(c, id))) return notFound('node')
      const found = await new Deadline(INDEX_WITHIN_MS).run(indexOf(c).progressOf(id))
      const items = found.map(({ name, epoch, counter, atMs, fullSetMs }) => ({
        name,
        epoch,
        counter,
        receivedAt: rfc3339(atMs),
        fullSetAt: rfc3339OrNull(fullSetMs),
      }))
      return c.json({ items })
    },
  )
}

async function replyWithVolume(c: OperatorContext, query: z.infer<typeof volumeQuery>): Promise<Response> {
  const throughDay = query.until ?? dayOf(c.var.nowMs)
  const fromDay = query.since ?? dayOf(Date.parse(throughDay) - (DEFAULT_DAYS - 1) * DAY_MS)
  const days = (Date.parse(throughDay) - Date.parse(fromDay)) / DAY_MS + 1
  if (days < 1) return unprocessable({ pointer: 'until', detail: 'is before since' })
  if (days > MAX_DAYS)
    return unprocessable({ pointer: 'since', detail: `is more than ${MAX_DAYS} days before until` })
  const { items, countedThroughMs } = await readVolume(c.env, c.var.environment.id, {
    by: query.by ?? 'query',
    fromDay,
    throughDay,
    type: query.type ?? null,
    nodeId: query.node ?? null,
    name: query.name ?? null,
    top: query.top ?? DEFAULT_TOP,
  })
  return c.json({ items, countedThrough: rfc3339OrNull(countedThroughMs) })
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}

function indexOf(c: OperatorContext) {
  return c.env.ARCHIVE_INDEX.getByName(c.var.environment.id)
}
