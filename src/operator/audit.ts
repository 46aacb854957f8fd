/** GET /audit: who changed what. */

import { createRoute, z } from '@hono/zod-openapi'
import { listAudit, type AuditRow } from '../db/audit.ts'
import { findEnvironment } from '../db/environments.ts'
import { rfc3339 } from '../lib/time.ts'
import type { OperatorRoutes } from './context.ts'
import { repliesList, time } from './describe.ts'
import { idKey, pageOf, pagingQuery } from './paging.ts'
import { unprocessable } from './problem.ts'

const auditSchema = z
  .object({
    id: z.string(),
    at: time,
    actor: z.string(),
    action: z.string(),
    environmentId: z.string().nullable(),
    subject: z.string(),
    detail: z.record(z.string(), z.unknown()),
  })
  .openapi('AuditEntry')

export function addAuditRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/audit',
      request: { query: z.object({ ...pagingQuery(idKey), environment: z.string().optional() }) },
      responses: repliesList(auditSchema),
    }),
    async (c) => {
      const { cursor, limit, environment: reference } = c.req.valid('query')
      const environment = reference === undefined ? null : await findEnvironment(c.var.db, reference)
      if (reference !== undefined && environment === null) {
        return unprocessable({ pointer: 'environment', detail: 'there is no such environment' })
      }
      const rows = await listAudit(c.var.db, environment?.id ?? null, cursor?.[0] ?? null, limit + 1)
      const page = pageOf(rows, limit, (row) => [row.id])
      return c.json({ items: page.rows.map(shown), nextCursor: page.nextCursor })
    },
  )
}

function shown(row: AuditRow) {
  const { id, atMs, actor, action, environmentId, subject, detail } = row
  return {
    id,
    at: rfc3339(atMs),
    actor,
    action,
    environmentId,
    subject,
    detail: JSON.parse(detail) as Record<string, unknown>,
  }
}
