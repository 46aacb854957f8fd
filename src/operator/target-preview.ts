/** POST /environments/{env}/queries/preview: whom targets mean, before anything is asked of them. */

import { createRoute, z } from '@hono/zod-openapi'
import { countByPlatform } from '../db/targets.ts'
import type { Targets } from '../fleet/targeting.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironment, jsonBody, replies } from './describe.ts'
import { TargetResolver } from '../queries/target-resolver.ts'
import { targetPlace, targetsSchema, unresolved } from './targets.ts'

const previewSchema = z
  .object({ nodes: z.int(), online: z.int(), platforms: z.record(z.string(), z.int()) })
  .openapi('TargetPreview')

export function addTargetPreviewRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'post',
      path: '/environments/{env}/queries/preview',
      request: { params: inEnvironment, body: jsonBody(z.strictObject({ targets: targetsSchema })) },
      responses: replies(200, 'How many nodes the targets mean now; nothing is made', previewSchema),
    }),
    async (c) => preview(c, c.req.valid('json').targets),
  )
}

/** No node is an answer here, not a fault. */
async function preview(c: OperatorContext, targets: Targets): Promise<Response> {
  const resolver = new TargetResolver(targetPlace(c))
  const meant = await resolver.resolve(targets, '')
  if (resolver.faults.length > 0) return unresolved(resolver.faults)
  const online = await resolver.online()
  online.retainAll(meant)
  return c.json({
    nodes: meant.size,
    online: online.size,
    platforms: await countByPlatform(c.var.db, c.var.environment.id, meant),
  })
}
