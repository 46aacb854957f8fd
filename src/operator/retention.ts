/** /environments/{env}/retention: for how many days log lines are kept, by type. */

import { createRoute, z } from '@hono/zod-openapi'
import { updateRetention } from '../db/retention.ts'
import { LINE_TYPES } from '../logs/line.ts'
import { readRetention, retentionDaysOf, RETENTION_CLASSES, type Retention } from '../logs/retention.ts'
import { environmentChangeNote } from './change-note.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironment, jsonBody, published, replies } from './describe.ts'
import { publishEnvironment } from './publish.ts'

const days = z.literal(RETENTION_CLASSES, `is none of ${RETENTION_CLASSES.join(', ')}`)
const retentionBody = z.strictObject({
  result: days.optional(),
  snapshot: days.optional(),
  status: days.optional(),
  query: days.optional(),
  audit: days.optional(),
} satisfies Record<(typeof LINE_TYPES)[number], z.ZodType>)
const retentionSchema = z
  .object({ days: z.record(z.enum(LINE_TYPES), z.int()), classes: z.array(z.int()) })
  .openapi('Retention')

const PATH = '/environments/{env}/retention'

export function addRetentionRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: PATH,
      request: { params: inEnvironment },
      responses: replies(200, 'Days by type, and the numbers of days that there are', retentionSchema),
    }),
    (c) => c.json(shown(readRetention(c.var.environment.retention))),
  )
  routes.openapi(
    createRoute({
      method: 'patch',
      path: PATH,
      description:
        'Types that are not named stay as they are. It holds for lines that are archived from now on: those of ' +
        'before end when they were to.',
      request: { params: inEnvironment, body: jsonBody(retentionBody) },
      responses: replies(200, 'Set', retentionSchema.extend(published)),
    }),
    async (c) => set(c, c.req.valid('json')),
  )
}

async function set(c: OperatorContext, body: z.infer<typeof retentionBody>): Promise<Response> {
  const { environment, db } = c.var
  const named = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined))
  const retention: Retention = { ...readRetention(environment.retention), ...named }
  const note = environmentChangeNote(c, 'retention.set', environment.id, { days: retention })
  const revision = await updateRetention(db, note, environment.id, retention)
  const live = await publishEnvironment(c.env, environment.id, revision)
  return c.json({ ...shown(retention), revision, live })
}

function shown(retention: Retention) {
  const byType = LINE_TYPES.map((type) => [type, retentionDaysOf(retention, type)] as const)
  return { days: Object.fromEntries(byType), classes: [...RETENTION_CLASSES] }
}
