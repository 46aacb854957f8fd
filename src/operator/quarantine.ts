/**
 * /environments/{env}/quarantine: what agents sent and we could not store as it should be. Its bytes can be read, sent
 * through the log pipeline once more, and deleted.
 */

import { createRoute, z } from '@hono/zod-openapi'
import { commitChange } from '../db/control.ts'
import {
  findQuarantined,
  listQuarantine,
  purgeQuarantineBefore,
  purgeQuarantined,
  type QuarantineItem,
} from '../logs/quarantine.ts'
import { noReplayOf, replayQuarantined, type NoReplay } from '../logs/replay.ts'
import { environmentChangeNote } from './change-note.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironment, inEnvironmentWithId, replies, repliesList, repliesNothing, time } from './describe.ts'
import { timeParameter } from './logs.ts'
import { cursorOf, idKey, pagingQuery } from './paging.ts'
import { notFound, problem, unprocessable } from './problem.ts'
import { contentReply } from './stored-content.ts'

const PATH = '/environments/{env}/quarantine'

const quarantineSchema = z
  .object({
    id: z.string(),
    reason: z.string(),
    route: z.string().openapi({ description: 'Which endpoint it came to; empty for old items' }),
    nodeId: z.string(),
    bytes: z.int(),
    receivedAt: time,
  })
  .openapi('QuarantineItem')
const purgedSchema = z.object({
  purged: z.int(),
  complete: z.boolean().openapi({ description: 'False: there is more; ask again' }),
})

const WHY_NOT: Record<NoReplay, string> = {
  'other-route': 'Only bodies that came to the log endpoint can be replayed.',
  'not-a-body':
    'These are what remained of a body whose lines are in the archive: there is nothing to replay.',
}

export function addQuarantineRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: PATH,
      request: { params: inEnvironment, query: z.object(pagingQuery(idKey)) },
      responses: repliesList(quarantineSchema),
    }),
    async (c) => {
      const { cursor, limit } = c.req.valid('query')
      const page = await listQuarantine(c.env, c.var.environment.id, cursor?.[0] ?? null, limit)
      const nextCursor = page.nextCursor === null ? null : cursorOf([page.nextCursor])
      return c.json({ items: page.items, nextCursor })
    },
  )
  routes.openapi(
    createRoute({
      method: 'delete',
      path: PATH,
      description: 'Deletes everything that was received before a time.',
      request: { params: inEnvironment, query: z.object({ before: timeParameter }) },
      responses: replies(200, 'Deleted', purgedSchema),
    }),
    async (c) => purgeBefore(c, c.req.valid('query').before),
  )
  addOneItemRoutes(routes)
}

function addOneItemRoutes(routes: OperatorRoutes): void {
  const request = { params: inEnvironmentWithId }
  routes.openapi(
    createRoute({
      method: 'get',
      path: `${PATH}/{id}`,
      request,
      responses: replies(200, 'What is known of it', quarantineSchema),
    }),
    async (c) => {
      const found = await itemOfPath(c, c.req.valid('param').id)
      return found instanceof Response ? found : c.json(found)
    },
  )
  routes.openapi(
    createRoute({
      method: 'get',
      path: `${PATH}/{id}/content`,
      request,
      responses: replies(200, 'The bytes, as they came', z.string()),
    }),
    async (c) => {
      const { id } = c.req.valid('param')
      const found = await findQuarantined(c.env, c.var.environment.id, id)
      return found === null ? notFound('item') : contentReply(found.content, found.item.bytes, id)
    },
  )
  routes.openapi(
    createRoute({
      method: 'post',
      path: `${PATH}/{id}/replay`,
      description:
        'Sends a log body through the pipeline once more, as received when it was. The item stays until it is deleted: ' +
        'what still cannot be stored comes back under the same id.',
      request,
      responses: replies(202, 'On its way', z.object({ id: z.string() })),
    }),
    async (c) => replay(c, c.req.valid('param').id),
  )
  routes.openapi(
    createRoute({
      method: 'delete',
      path: `${PATH}/{id}`,
      request,
      responses: repliesNothing('It is gone'),
    }),
    async (c) => purge(c, c.req.valid('param').id),
  )
}

async function itemOfPath(c: OperatorContext, id: string): Promise<QuarantineItem | Response> {
  const found = await findQuarantined(c.env, c.var.environment.id, id)
  if (found === null) return notFound('item')
  await found.content.cancel()
  return found.item
}

async function replay(c: OperatorContext, id: string): Promise<Response> {
  const item = await itemOfPath(c, id)
  if (item instanceof Response) return item
  const refused = noReplayOf(item)
  if (refused !== null) return problem(409, WHY_NOT[refused])
  await commitChange(c.var.db, environmentChangeNote(c, 'quarantine.replay', id), 'none', [])
  await replayQuarantined(c.env, c.var.environment.id, id)
  return c.json({ id }, 202)
}

/** The audit row goes first: what is deleted cannot be told of afterwards. */
async function purge(c: OperatorContext, id: string): Promise<Response> {
  const item = await itemOfPath(c, id)
  if (item instanceof Response) return item
  const { reason, nodeId, bytes } = item
  const note = environmentChangeNote(c, 'quarantine.delete', id, { reason, nodeId, bytes })
  await commitChange(c.var.db, note, 'none', [])
  await purgeQuarantined(c.env, c.var.environment.id, id)
  return c.body(null, 204)
}

async function purgeBefore(c: OperatorContext, beforeMs: number | undefined): Promise<Response> {
  if (beforeMs === undefined) return unprocessable({ pointer: 'before', detail: 'is missing' })
  const { id } = c.var.environment
  const before = new Date(beforeMs).toISOString()
  await commitChange(c.var.db, environmentChangeNote(c, 'quarantine.purge', id, { before }), 'none', [])
  return c.json(await purgeQuarantineBefore(c.env, id, beforeMs))
}
