/** /environments/{env}/sinks/{id}/quarantine: lines that the destination refused for good. */

import { createRoute, z } from '@hono/zod-openapi'
import { commitChange } from '../db/control.ts'
import { strictTextOf } from '../lib/bytes.ts'
import {
  isSinkQuarantineId,
  listSinkQuarantine,
  purgeSinkQuarantine,
  readSinkQuarantine,
  sinkQuarantineKey,
} from '../logs/deliver/sink-quarantine.ts'
import { ObjectGone } from '../logs/object-reader.ts'
import { environmentChangeNote } from './change-note.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import {
  envParam,
  inEnvironmentWithId,
  jsonBody,
  replies,
  repliesList,
  repliesNothing,
  time,
} from './describe.ts'
import { cursorOf, idKey, pagingQuery } from './paging.ts'
import { notFound, unprocessable } from './problem.ts'
import { beginReplay } from './sink-replays.ts'
import { replaySchema } from './sink-view.ts'
import { SINKS_PATH, sinkOfPath } from './sink-path.ts'

const PATH = `${SINKS_PATH}/{id}/quarantine`
/** Items that one replay takes; another takes the next. */
const MAX_REPLAYED = 1_000
/** Lines of an item that are shown. */
const MAX_SHOWN = 1_000

const itemSchema = z
  .object({ id: z.string(), receivedAt: time, lines: z.int(), reason: z.string() })
  .openapi('SinkQuarantineItem')
const lineSchema = z.object({
  reason: z.string(),
  eventId: z.string(),
  nodeId: z.string().nullable(),
  type: z.string(),
  name: z.string(),
  receivedAt: time,
  line: z.unknown(),
})
const inItem = z.object({ env: envParam, id: z.string(), item: z.string() })
const replayBody = z.strictObject({
  items: z
    .array(z.string().refine(isSinkQuarantineId, 'is not the id of an item'))
    .min(1, 'names none')
    .max(MAX_REPLAYED, `has more than ${MAX_REPLAYED}`)
    .optional()
    .openapi({ description: `Without it: the newest ${MAX_REPLAYED}.` }),
})

export function addSinkQuarantineRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: PATH,
      request: { params: inEnvironmentWithId, query: z.object(pagingQuery(idKey)) },
      responses: repliesList(itemSchema),
    }),
    async (c) => {
      const place = await placeOfPath(c, c.req.valid('param').id)
      if (place === null) return notFound('sink')
      const { cursor, limit } = c.req.valid('query')
      const { items, next } = await listSinkQuarantine(c.env, place, cursor?.[0] ?? null, limit)
      return c.json({ items, nextCursor: next === null ? null : cursorOf([next]) })
    },
  )
  routes.openapi(
    createRoute({
      method: 'get',
      path: `${PATH}/{item}`,
      request: { params: inItem },
      responses: replies(200, `Its lines, ${MAX_SHOWN} at most`, z.object({ lines: z.array(lineSchema) })),
    }),
    async (c) => show(c, c.req.valid('param')),
  )
  addQuarantineActions(routes)
}

function addQuarantineActions(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'post',
      path: `${PATH}/replay`,
      description: 'Sends items again. Those that get there go; what is refused again is a new item.',
      request: { params: inEnvironmentWithId, body: jsonBody(replayBody) },
      responses: replies(202, 'Begun', replaySchema),
    }),
    async (c) => replay(c, c.req.valid('param').id, c.req.valid('json').items),
  )
  routes.openapi(
    createRoute({
      method: 'delete',
      path: `${PATH}/{item}`,
      request: { params: inItem },
      responses: repliesNothing('It is gone'),
    }),
    async (c) => {
      const { id, item } = c.req.valid('param')
      return isSinkQuarantineId(item) ? purge(c, id, [item]) : notFound('item')
    },
  )
  routes.openapi(
    createRoute({
      method: 'delete',
      path: PATH,
      request: { params: inEnvironmentWithId },
      responses: repliesNothing('All of it is gone'),
    }),
    async (c) => purge(c, c.req.valid('param').id, null),
  )
}

async function show(c: OperatorContext, { id, item }: { id: string; item: string }): Promise<Response> {
  const place = await placeOfPath(c, id)
  if (place === null) return notFound('sink')
  if (!isSinkQuarantineId(item)) return notFound('item')
  const lines: unknown[] = []
  try {
    for await (const { header, line, reason } of readSinkQuarantine(c.env, sinkQuarantineKey(place, item))) {
      const { eventId, nodeId, type, name, receivedAt } = header
      lines.push({ reason, eventId, nodeId, type, name, receivedAt, line: valueOf(line) })
      if (lines.length >= MAX_SHOWN) break
    }
  } catch (error) {
    if (error instanceof ObjectGone) return notFound('item')
    throw error
  }
  return c.json({ lines })
}

/** The line as JSON where it is, else as a text. */
function valueOf(line: Uint8Array): unknown {
  const text = strictTextOf(line)
  if (text === null) return null
  try {
    return JSON.parse(text)
  } catch {
    // Agents' lines are objects by their brackets; what is inside may be anything, and may be why it was refused.
    return text
  }
}

async function replay(
  c: OperatorContext,
  id: string,
  items: readonly string[] | undefined,
): Promise<Response> {
  const row = await sinkOfPath(c, id)
  if (row === null) return notFound('sink')
  const place = { environmentId: row.environmentId, sinkId: row.id }
  const ids =
    items ?? (await listSinkQuarantine(c.env, place, null, MAX_REPLAYED)).items.map((item) => item.id)
  if (ids.length === 0) return unprocessable({ pointer: '/items', detail: 'there is nothing in quarantine' })
  return beginReplay(c, row, { kind: 'quarantine', keys: ids.map((item) => sinkQuarantineKey(place, item)) })
}

/** The audit row goes first: what is deleted cannot be told of afterwards. */
async function purge(c: OperatorContext, id: string, items: readonly string[] | null): Promise<Response> {
  const place = await placeOfPath(c, id)
  if (place === null) return notFound('sink')
  const note = environmentChangeNote(c, 'sink.quarantine.purge', id, { items: items ?? 'all' })
  await commitChange(c.var.db, note, 'none', [])
  await purgeSinkQuarantine(c.env, place, items)
  return c.body(null, 204)
}

async function placeOfPath(
  c: OperatorContext,
  id: string,
): Promise<{ environmentId: string; sinkId: string } | null> {
  const row = await sinkOfPath(c, id)
  return row === null ? null : { environmentId: row.environmentId, sinkId: row.id }
}
