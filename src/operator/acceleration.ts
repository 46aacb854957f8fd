/** /environments/{env}/acceleration: how much of the fleet may poll fast while operators watch, and what does now. */

import { createRoute, z } from '@hono/zod-openapi'
import { updateAccelerateShare } from '../db/acceleration.ts'
import {
  ACCELERATED_FOR_MS,
  ALWAYS_ACCELERATED_NODES,
  MOST_ACCELERATED_NODES,
} from '../fleet/acceleration.ts'
import { Deadline } from '../lib/deadline.ts'
import { rfc3339OrNull } from '../lib/time.ts'
import { environmentChangeNote } from './change-note.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironment, jsonBody, published, replies, time } from './describe.ts'
import { publishEnvironment } from './publish.ts'

/** An object that does not say in this time is an outage. */
const STATE_WITHIN_MS = 3_000
const PATH = '/environments/{env}/acceleration'

const share = z
  .number()
  .min(0, 'is less than 0')
  .max(1, 'is more than 1')
  .openapi({
    description:
      `Of all nodes; ${ALWAYS_ACCELERATED_NODES} may be accelerated in any fleet, ${MOST_ACCELERATED_NODES} in the ` +
      'largest, and none where it is 0',
  })
const accelerationSchema = z
  .object({
    share,
    nodes: z.int().openapi({ description: 'Accelerated now' }),
    until: time.nullable().openapi({ description: 'When it lapses unless operators do something' }),
    lapsesAfterSeconds: z.int(),
  })
  .openapi('Acceleration')

export function addAccelerationRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: PATH,
      description:
        'Accelerated nodes start a query within a second or, between two polls, within five; all others within ' +
        'their distributed interval.',
      request: { params: inEnvironment },
      responses: replies(200, 'The share, and what is accelerated now', accelerationSchema),
    }),
    async (c) => c.json(await shown(c, c.var.environment.accelerateShare)),
  )
  routes.openapi(
    createRoute({
      method: 'patch',
      path: PATH,
      request: { params: inEnvironment, body: jsonBody(z.strictObject({ share })) },
      responses: replies(200, 'Set', accelerationSchema.extend(published)),
    }),
    async (c) => {
      const { environment, db } = c.var
      const { share: wanted } = c.req.valid('json')
      const note = environmentChangeNote(c, 'acceleration.set', environment.id, { share: wanted })
      const revision = await updateAccelerateShare(db, note, environment.id, wanted)
      const live = await publishEnvironment(c.env, environment.id, revision)
      return c.json({ ...(await shown(c, wanted)), revision, live })
    },
  )
}

async function shown(c: OperatorContext, accelerateShare: number) {
  const asked = c.env.ENVIRONMENT.getByName(c.var.environment.id).acceleration()
  const { nodes, untilMs } = await new Deadline(STATE_WITHIN_MS).run(asked)
  const until = rfc3339OrNull(untilMs)
  return { share: accelerateShare, nodes, until, lapsesAfterSeconds: ACCELERATED_FOR_MS / 1_000 }
}
