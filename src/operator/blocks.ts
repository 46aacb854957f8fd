/** /environments/{env}/blocks: identities that are not let in. Blocking a node blocks what it is known by. */

import { createRoute, z } from '@hono/zod-openapi'
import {
  blockIdentity,
  blockNodes,
  deleteBlock,
  identitiesOfBlocks,
  listBlocks,
  type BlockRow,
} from '../db/blocks.ts'
import { findNode } from '../db/nodes.ts'
import { NodeSet } from '../fleet/node-set.ts'
import { rfc3339 } from '../lib/time.ts'
import { environmentChangeNote } from './change-note.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import {
  inEnvironment,
  inEnvironmentWithId,
  jsonBody,
  published,
  replies,
  repliesList,
  repliesNothing,
  time,
} from './describe.ts'
import { reasonText } from './names.ts'
import { pageOf, pagingQuery, timeKey } from './paging.ts'
import { conflict, notFound } from './problem.ts'
import { deleted, publishEnvironment } from './publish.ts'

const MAX_IDENTITY_CHARACTERS = 512

/** As enroll makes them (fleet/identity-policy.ts): UUIDs are in lower case there. */
const identity = z
  .string()
  .max(MAX_IDENTITY_CHARACTERS, `is longer than ${MAX_IDENTITY_CHARACTERS} characters`)
  .regex(/^(uuid|serial|instance|host):./, 'must begin with uuid:, serial:, instance: or host:')
  .transform((text) => (text.startsWith('uuid:') ? text.toLowerCase() : text))
const blockBody = z.strictObject({ reason: reasonText })
const identityBody = z.strictObject({ identity, reason: reasonText })

const blockSchema = z
  .object({
    id: z.string(),
    nodeId: z.string().nullable(),
    hostname: z.string(),
    identities: z.array(z.string()),
    reason: z.string(),
    createdAt: time,
    createdBy: z.string(),
  })
  .openapi('Block')

const PATH = '/environments/{env}/blocks'

export function addBlockRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: PATH,
      request: { params: inEnvironment, query: z.object(pagingQuery(timeKey)) },
      responses: repliesList(blockSchema),
    }),
    async (c) => {
      const { cursor, limit } = c.req.valid('query')
      const rows = await listBlocks(c.var.db, c.var.environment.id, cursor, limit + 1)
      const page = pageOf(rows, limit, (row) => [row.createdAtMs, row.id])
      return c.json({ items: await shown(c, page.rows), nextCursor: page.nextCursor })
    },
  )
  routes.openapi(
    createRoute({
      method: 'post',
      path: PATH,
      request: { params: inEnvironment, body: jsonBody(identityBody) },
      responses: replies(
        201,
        'Who has this identity does not get in',
        z.object({ id: z.string(), ...published }),
      ),
    }),
    async (c) => block(c, c.req.valid('json')),
  )
  routes.openapi(
    createRoute({
      method: 'post',
      path: '/environments/{env}/nodes/{id}/block',
      request: { params: inEnvironmentWithId, body: jsonBody(blockBody) },
      responses: replies(200, 'Its key is revoked, and it does not get in again', z.object(published)),
    }),
    async (c) => blockNode(c, c.req.valid('param').id, c.req.valid('json').reason),
  )
  routes.openapi(
    createRoute({
      method: 'delete',
      path: `${PATH}/{id}`,
      request: { params: inEnvironmentWithId },
      responses: repliesNothing('It may enroll again, as the node that it was'),
    }),
    async (c) => unblock(c, c.req.valid('param').id),
  )
}

async function block(c: OperatorContext, body: z.infer<typeof identityBody>): Promise<Response> {
  const { db, environment, nowMs, actor } = c.var
  const id = crypto.randomUUID()
  const row = { id, environmentId: environment.id, reason: body.reason, createdAtMs: nowMs, createdBy: actor }
  const note = environmentChangeNote(c, 'block.create', id, body)
  const revision = await blockIdentity(db, note, row, body.identity)
  return c.json({ id, revision, live: await publishEnvironment(c.env, environment.id, revision) }, 201)
}

async function blockNode(c: OperatorContext, id: string, reason: string): Promise<Response> {
  const { db, environment } = c.var
  const node = await findNode(db, environment.id, id)
  if (node === null) return notFound('node')
  if (node.blockedAtMs !== null) return conflict('', 'the node is blocked already')
  const note = environmentChangeNote(c, 'node.block', id, { reason, identity: node.identity })
  const revision = await blockNodes(db, note, environment.id, NodeSet.of([node.ordinal]), reason)
  return c.json({ revision, live: await publishEnvironment(c.env, environment.id, revision) })
}

async function unblock(c: OperatorContext, id: string): Promise<Response> {
  const { db, environment } = c.var
  const revision = await deleteBlock(db, environmentChangeNote(c, 'block.delete', id), environment.id, id)
  if (revision === null) return notFound('block')
  return deleted(revision, await publishEnvironment(c.env, environment.id, revision))
}

async function shown(c: OperatorContext, rows: readonly BlockRow[]): Promise<z.infer<typeof blockSchema>[]> {
  const ids = rows.map(({ id }) => id)
  const identities = await identitiesOfBlocks(c.var.db, c.var.environment.id, ids)
  return rows.map(({ id, nodeId, hostname, reason, createdAtMs, createdBy }) => ({
    id,
    nodeId,
    hostname,
    identities: identities.get(id) ?? [],
    reason,
    createdAt: rfc3339(createdAtMs),
    createdBy,
  }))
}
