/** /environments/{env}/quarantine: what agents sent and we could not store as it should be. */

import { createRoute, z } from '@hono/zod-openapi'
import { listQuarantine } from '../logs/quarantine.ts'
import type { OperatorRoutes } from './context.ts'
import { inEnvironment, repliesList, time } from './describe.ts'
import { cursorOf, idKey, pagingQuery } from './paging.ts'

const quarantineSchema = z
  .object({ id: z.string(), reason: z.string(), nodeId: z.string(), bytes: z.int(), receivedAt: time })
  .openapi('QuarantineItem')

export function addQuarantineRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/environments/{env}/quarantine',
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
}
