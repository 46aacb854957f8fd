/**
 * /environments/{env}/inbox: log bodies that were acknowledged and are not in the archive yet. Most pass within seconds;
 * what is late is told of in the Worker's log too (`inbox-late`).
 */

import { createRoute, z } from '@hono/zod-openapi'
import { commitChange } from '../db/control.ts'
import { rfc3339 } from '../lib/time.ts'
import { enqueuePointer } from '../logs/inbox.ts'
import { findInInbox, LATE_AFTER_MS, listInbox, type InboxItem } from '../logs/inbox-list.ts'
import { environmentChangeNote } from './change-note.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironment, inEnvironmentWithId, replies, repliesList, repliesNothing, time } from './describe.ts'
import { cursorOf, idKey, pagingQuery } from './paging.ts'
import { notFound } from './problem.ts'
import { contentReply } from './stored-content.ts'

const PATH = '/environments/{env}/inbox'

const inboxSchema = z
  .object({
    id: z.string(),
    nodeId: z.string().nullable().openapi({ description: 'Null where only the body itself can tell' }),
    bytes: z.int(),
    receivedAt: time,
    late: z.boolean().openapi({ description: `It has been here for over ${LATE_AFTER_MS / 60_000} minutes` }),
  })
  .openapi('InboxItem')

export function addInboxRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: PATH,
      description: 'By name, which says nothing of time.',
      request: { params: inEnvironment, query: z.object(pagingQuery(idKey)) },
      responses: repliesList(inboxSchema),
    }),
    async (c) => {
      const { cursor, limit } = c.req.valid('query')
      const { environment, nowMs } = c.var
      const page = await listInbox(c.env, environment.id, cursor?.[0] ?? null, limit, nowMs)
      const nextCursor = page.nextCursor === null ? null : cursorOf([page.nextCursor])
      return c.json({ items: page.items.map(shown), nextCursor })
    },
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
      responses: replies(200, 'What is known of it', inboxSchema),
    }),
    async (c) => {
      const found = await itemOfPath(c, c.req.valid('param').id)
      return found === null ? notFound('item') : c.json(shown(found.item))
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
      const found = await findInInbox(c.env, c.var.environment.id, id, c.var.nowMs)
      return found === null ? notFound('item') : contentReply(found.content, found.item.bytes, id)
    },
  )
  routes.openapi(
    createRoute({
      method: 'post',
      path: `${PATH}/{id}/replay`,
      description: 'Tells the consumer once more. The sweeper does so each minute by itself.',
      request,
      responses: replies(202, 'On its way', z.object({ id: z.string() })),
    }),
    async (c) => replay(c, c.req.valid('param').id),
  )
  routes.openapi(
    createRoute({
      method: 'delete',
      path: `${PATH}/{id}`,
      description: 'Its agent was told that these lines are safe, and will not send them again.',
      request,
      responses: repliesNothing('It is gone'),
    }),
    async (c) => purge(c, c.req.valid('param').id),
  )
}

async function itemOfPath(c: OperatorContext, id: string): Promise<{ item: InboxItem; key: string } | null> {
  const found = await findInInbox(c.env, c.var.environment.id, id, c.var.nowMs)
  if (found !== null) await found.content.cancel()
  return found
}

async function replay(c: OperatorContext, id: string): Promise<Response> {
  const found = await itemOfPath(c, id)
  if (found === null) return notFound('item')
  await commitChange(c.var.db, environmentChangeNote(c, 'inbox.replay', id), 'none', [])
  // The object itself says whose it is.
  await enqueuePointer(c.env, found.key, null)
  return c.json({ id }, 202)
}

/** The audit row goes first: what is deleted cannot be told of afterwards. */
async function purge(c: OperatorContext, id: string): Promise<Response> {
  const found = await itemOfPath(c, id)
  if (found === null) return notFound('item')
  const { nodeId, bytes } = found.item
  await commitChange(c.var.db, environmentChangeNote(c, 'inbox.delete', id, { nodeId, bytes }), 'none', [])
  await c.env.ARCHIVE.delete(found.key)
  return c.body(null, 204)
}

function shown({ id, nodeId, bytes, receivedAtMs, late }: InboxItem) {
  return { id, nodeId, bytes, receivedAt: rfc3339(receivedAtMs), late }
}
