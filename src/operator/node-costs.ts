/** /environments/{env}/nodes/{id}/costs: what scheduled queries cost one node, by its last report. */

import { createRoute, z } from '@hono/zod-openapi'
import { ratingOf, RATINGS } from '../costs/figures.ts'
import { readNodeCosts } from '../costs/read.ts'
import type { NodeCosts } from '../costs/kinds.ts'
import { findNode } from '../db/nodes.ts'
import { rfc3339, rfc3339OrNull } from '../lib/time.ts'
import type { OperatorRoutes } from './context.ts'
import { inEnvironmentWithId, replies, time } from './describe.ts'
import { notFound } from './problem.ts'

const nodeCostsSchema = z
  .object({
    reportedAt: time.nullable().openapi({ description: 'null: it has not reported' }),
    cpuMsPerHour: z
      .number()
      .nullable()
      .openapi({ description: 'Of all its queries, over the time that is remembered' }),
    queries: z
      .array(
        z.object({
          query: z.string(),
          version: z
            .string()
            .nullable()
            .openapi({ description: 'null: killed its agent before it was reported' }),
          executions: z.int(),
          userMs: z.int(),
          systemMs: z.int(),
          wallMs: z.int(),
          outputBytes: z.int(),
          lastExecutedAt: time.nullable(),
          denylistedSince: time.nullable(),
          rating: z.enum(RATINGS),
        }),
      )
      .openapi({ description: 'Totals since its agent began to count, the most CPU time first' }),
  })
  .openapi('NodeCosts')

export function addNodeCostRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/environments/{env}/nodes/{id}/costs',
      request: { params: inEnvironmentWithId },
      responses: replies(200, 'What its scheduled queries cost it', nodeCostsSchema),
    }),
    async (c) => {
      const { id: environmentId } = c.var.environment
      const node = await findNode(c.var.db, environmentId, c.req.valid('param').id)
      if (node === null) return notFound('node')
      return c.json(shown(await readNodeCosts(c.env, environmentId, node.ordinal)))
    },
  )
}

function shown({ atS, cpuMsPerHour, queries }: NodeCosts) {
  return {
    reportedAt: atS === 0 ? null : rfc3339(atS * 1_000),
    cpuMsPerHour,
    queries: queries.map(({ name, hash, counters, deniedSinceS }) => {
      const { executions, userMs, systemMs, wallMs, outputBytes, lastExecutedS } = counters
      return {
        query: name,
        version: hash === '' ? null : hash,
        executions,
        userMs,
        systemMs,
        wallMs,
        outputBytes,
        lastExecutedAt: timeOrNull(lastExecutedS),
        denylistedSince: timeOrNull(deniedSinceS),
        rating: ratingOf(executions === 0 ? null : (userMs + systemMs) / executions),
      }
    }),
  }
}

function timeOrNull(atS: number): string | null {
  return rfc3339OrNull(atS === 0 ? null : atS * 1_000)
}
