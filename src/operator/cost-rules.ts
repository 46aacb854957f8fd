/** /environments/{env}/cost-rules: what scheduled queries may cost, and when one is paused. */

import { createRoute, z } from '@hono/zod-openapi'
import { readRules, type CostRules } from '../costs/rules.ts'
import { updateCostRules } from '../db/cost-rules.ts'
import { environmentChangeNote } from './change-note.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironment, jsonBody, replies } from './describe.ts'

const limit = z.int().min(1, 'is less than 1').nullable()
const rulesBody = z.strictObject({
  budget: z
    .strictObject({
      maxExecutionMs: limit.openapi({ description: 'Of user and system time, at the 95th percentile' }),
      maxDailyMs: limit.openapi({ description: 'Of user and system time, of a node in 24 hours' }),
      mode: z.enum(['warn', 'block']).openapi({
        description: 'block: a configuration with a query that is known to go over it is refused',
      }),
    })
    .nullable(),
  autoPause: z
    .strictObject({
      share: z.number().gt(0, 'is not more than 0').lt(1, 'is not less than 1').openapi({
        description: 'Of the nodes that report the query: more than this must have it on their denylist',
      }),
      minNodes: z.int().min(1, 'is less than 1').openapi({ description: 'And at least so many nodes' }),
    })
    .nullable(),
})
const rulesSchema = rulesBody.openapi('CostRules')

const PATH = '/environments/{env}/cost-rules'

export function addCostRuleRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: PATH,
      request: { params: inEnvironment },
      responses: replies(200, 'The rules', rulesSchema),
    }),
    (c) => c.json(readRules(c.var.environment.costRules)),
  )
  routes.openapi(
    createRoute({
      method: 'put',
      path: PATH,
      request: { params: inEnvironment, body: jsonBody(rulesBody) },
      responses: replies(200, 'Set', rulesSchema),
    }),
    async (c) => set(c, c.req.valid('json')),
  )
}

async function set(c: OperatorContext, rules: CostRules): Promise<Response> {
  const { environment, db } = c.var
  const note = environmentChangeNote(c, 'cost-rules.set', environment.id, { ...rules })
  await updateCostRules(db, note, environment.id, rules)
  return c.json(rules)
}
