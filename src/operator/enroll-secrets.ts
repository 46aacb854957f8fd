/** /environments/{env}/enroll-secrets: what lets an agent into an environment, and by which rules. */

import { createRoute, z } from '@hono/zod-openapi'
import { findEnrollSecret, listEnrollSecrets, serialsOf } from '../db/enroll-secrets.ts'
import type { OperatorRoutes } from './context.ts'
import {
  inEnvironment,
  inEnvironmentWithId,
  jsonBody,
  published,
  replies,
  repliesList,
  repliesNothing,
} from './describe.ts'
import { rotateBody, secretBody, secretPatch } from './enroll-secret-bodies.ts'
import {
  createSecret,
  patchSecret,
  removeSecret,
  revokeSecret,
  rotateSecret,
} from './enroll-secret-changes.ts'
import { secretSchema, shownSecret, shownSecrets } from './enroll-secret-view.ts'
import { pageOf, pagingQuery, timeKey } from './paging.ts'
import { notFound } from './problem.ts'

const PATH = '/environments/{env}/enroll-secrets'

const madeSchema = secretSchema.extend({
  secret: z.string().nullable().openapi({ description: 'null where only its SHA-256 was given' }),
  ...published,
})

export function addEnrollSecretRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: PATH,
      request: { params: inEnvironment, query: z.object(pagingQuery(timeKey)) },
      responses: repliesList(secretSchema),
    }),
    async (c) => {
      const { cursor, limit } = c.req.valid('query')
      const rows = await listEnrollSecrets(c.var.db, c.var.environment.id, cursor, limit + 1)
      const page = pageOf(rows, limit, (row) => [row.createdAtMs, row.id])
      return c.json({ items: await shownSecrets(c, page.rows), nextCursor: page.nextCursor })
    },
  )
  routes.openapi(
    createRoute({
      method: 'post',
      path: PATH,
      request: { params: inEnvironment, body: jsonBody(secretBody) },
      responses: replies(201, 'Made; the secret is shown once', madeSchema),
    }),
    async (c) => createSecret(c, c.req.valid('json')),
  )
  addOneSecretRoutes(routes)
  addSecretActionRoutes(routes)
}

function addOneSecretRoutes(routes: OperatorRoutes): void {
  const path = `${PATH}/{id}`
  routes.openapi(
    createRoute({
      method: 'get',
      path,
      request: { params: inEnvironmentWithId },
      responses: replies(
        200,
        'The secret, with its serials',
        secretSchema.extend({ serials: z.array(z.string()).nullable() }),
      ),
    }),
    async (c) => {
      const row = await findEnrollSecret(c.var.db, c.var.environment.id, c.req.valid('param').id)
      if (row === null) return notFound('enroll secret')
      const serials = row.serialCount === 0 ? null : await serialsOf(c.var.db, row.id)
      return c.json({ ...(await shownSecret(c, row)), serials })
    },
  )
  routes.openapi(
    createRoute({
      method: 'patch',
      path,
      description:
        'Members that are not named stay as they are; null takes a rule away. Nodes that are in already stay.',
      request: { params: inEnvironmentWithId, body: jsonBody(secretPatch) },
      responses: replies(200, 'Changed', secretSchema.extend(published)),
    }),
    async (c) => patchSecret(c, c.req.valid('param').id, c.req.valid('json')),
  )
  routes.openapi(
    createRoute({
      method: 'delete',
      path,
      request: { params: inEnvironmentWithId },
      responses: repliesNothing('No agent enrolls with it any more; nodes stay'),
    }),
    async (c) => removeSecret(c, c.req.valid('param').id),
  )
}

function addSecretActionRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'post',
      path: `${PATH}/{id}/rotate`,
      description:
        'Makes a successor with the same rules, which shares its quota. The old one goes on until the overlap is over, ' +
        'then it expires by itself.',
      request: { params: inEnvironmentWithId, body: jsonBody(rotateBody) },
      responses: replies(201, 'The successor; its secret is shown once', madeSchema),
    }),
    async (c) => rotateSecret(c, c.req.valid('param').id, c.req.valid('json')),
  )
  routes.openapi(
    createRoute({
      method: 'post',
      path: `${PATH}/{id}/revoke`,
      description: 'At once. It stays in the list, and counts who still comes with it.',
      request: { params: inEnvironmentWithId },
      responses: replies(
        200,
        'No agent enrolls with it any more; nodes stay',
        secretSchema.extend(published),
      ),
    }),
    async (c) => revokeSecret(c, c.req.valid('param').id),
  )
}
