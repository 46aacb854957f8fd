/**
 * Deleting log lines: DELETE /environments/{env}/nodes/{id}/logs and DELETE /environments/{env}/logs. Each answers with
 * a receipt, under /environments/{env}/logs/erasures, that says when it is done. Readers do not see the lines from the
 * answer on; what agents send later is new. With the lines goes what was learnt of people from them and from requests:
 * addresses, MACs, users.
 */

import { createRoute, z } from '@hono/zod-openapi'
import { commitChange } from '../db/control.ts'
import { highestOrdinal } from '../db/environments.ts'
import { ordinalOfNode } from '../db/nodes.ts'
import { eraseTraces } from '../db/trace-erasures.ts'
import { timeOrderedUuid } from '../lib/bytes.ts'
import { Deadline } from '../lib/deadline.ts'
import { rfc3339, rfc3339OrNull } from '../lib/time.ts'
import { tryToWakeCompaction } from '../logs/compact/wake.ts'
import type { Receipt } from '../logs/index/erasures.ts'
import { forgetAgentsOf } from '../presence/read.ts'
import { environmentChangeNote } from './change-note.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironment, inEnvironmentWithId, jsonBody, replies, repliesList, time } from './describe.ts'
import { idKey, pageOf, pagingQuery } from './paging.ts'
import { notFound, unprocessable } from './problem.ts'

const RECEIPTS = '/environments/{env}/logs/erasures'
const INDEX_WITHIN_MS = 10_000
const PRESENCE_WITHIN_MS = 10_000

const receiptSchema = z
  .object({
    id: z.string(),
    status: z.enum(['running', 'done']),
    nodeId: z.string().nullable().openapi({ description: 'Null: the lines of the whole environment' }),
    receivedUntil: time.openapi({ description: 'Lines received later are new and stay' }),
    finishedAt: time.nullable(),
    lines: z.int().openapi({ description: 'Taken out so far; a line that lay in two objects counts twice' }),
    objects: z.int().openapi({ description: 'Objects that held them: written anew without, or deleted' }),
    setAside: z.int().openapi({ description: 'Bodies deleted from the inbox and from quarantine' }),
  })
  .openapi('LogErasure')

const confirmation = z.strictObject({
  environment: z.string().openapi({ description: 'The name of the environment, to confirm what is deleted' }),
})

export function addErasureRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'delete',
      path: '/environments/{env}/nodes/{id}/logs',
      request: { params: inEnvironmentWithId },
      responses: replies(202, 'Begun', receiptSchema),
    }),
    (c) => begin(c, c.req.valid('param').id),
  )
  routes.openapi(
    createRoute({
      method: 'delete',
      path: '/environments/{env}/logs',
      request: { params: inEnvironment, body: jsonBody(confirmation) },
      responses: replies(202, 'Begun', receiptSchema),
    }),
    (c) =>
      c.req.valid('json').environment === c.var.environment.name
        ? begin(c, null)
        : unprocessable({ pointer: '/environment', detail: 'is not the name of this environment' }),
  )
  addReceiptRoutes(routes)
}

function addReceiptRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: RECEIPTS,
      request: { params: inEnvironment, query: z.object(pagingQuery(idKey)) },
      responses: repliesList(receiptSchema),
    }),
    async (c) => {
      const { cursor, limit } = c.req.valid('query')
      const receipts = await new Deadline(INDEX_WITHIN_MS).run(
        indexOf(c).receipts(cursor?.[0] ?? null, limit + 1),
      )
      const page = pageOf(receipts, limit, ({ id }) => [id])
      return c.json({ items: page.rows.map(shown), nextCursor: page.nextCursor })
    },
  )
  routes.openapi(
    createRoute({
      method: 'get',
      path: `${RECEIPTS}/{id}`,
      request: { params: inEnvironmentWithId },
      responses: replies(200, 'The receipt', receiptSchema),
    }),
    async (c) => {
      const receipt = await new Deadline(INDEX_WITHIN_MS).run(indexOf(c).receipt(c.req.valid('param').id))
      return receipt === null ? notFound('erasure') : c.json(shown(receipt))
    },
  )
}

/** The audit row first: nothing is deleted that nobody is known to have asked for. */
async function begin(c: OperatorContext, nodeId: string | null): Promise<Response> {
  const { db, environment, nowMs } = c.var
  const id = timeOrderedUuid(nowMs)
  const ordinal = nodeId === null ? null : await ordinalOfNode(db, environment.id, nodeId)
  if (nodeId !== null && ordinal === null) return notFound('node')
  const note = environmentChangeNote(c, 'logs.erase', nodeId ?? environment.id, { erasure: id })
  await commitChange(db, note, 'none', eraseTraces(db, environment.id, ordinal, nowMs))
  // Addresses that presence still has. The erasure fails with it, so that nobody believes what is not so.
  const highest = ordinal ?? (await highestOrdinal(db, environment.id))
  await new Deadline(PRESENCE_WITHIN_MS).run(forgetAgentsOf(c.env, environment.id, ordinal, highest))
  const receipt = await new Deadline(INDEX_WITHIN_MS).run(indexOf(c).erase(id, { nodeId, untilMs: nowMs }))
  if (receipt === null) throw new Error('what was begun has a receipt')
  await tryToWakeCompaction(c.env, environment.id)
  return c.json(shown(receipt), 202)
}

function indexOf(c: OperatorContext) {
  return c.env.ARCHIVE_INDEX.getByName(c.var.environment.id)
}

function shown(receipt: Receipt): z.infer<typeof receiptSchema> {
  const { id, nodeId, untilMs, finishedMs, lines, objects, setAside } = receipt
  return {
    id,
    status: finishedMs === null ? 'running' : 'done',
    nodeId,
    receivedUntil: rfc3339(untilMs),
    finishedAt: rfc3339OrNull(finishedMs),
    lines,
    objects,
    setAside,
  }
}
