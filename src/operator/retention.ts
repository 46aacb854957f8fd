/** /environments/{env}/retention: for how many days log lines are kept, by type, results of live queries, and traces. */

import { createRoute, z } from '@hono/zod-openapi'
import { updateRetention } from '../db/retention.ts'
import { LINE_TYPES } from '../logs/line.ts'
import { readRetention, retentionDaysOf, RETENTION_CLASSES, type Retention } from '../logs/retention.ts'
import { environmentChangeNote } from './change-note.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironment, jsonBody, published, replies } from './describe.ts'
import { publishEnvironment } from './publish.ts'

const days = z.literal(RETENTION_CLASSES, `is none of ${RETENTION_CLASSES.join(', ')}`)
/** Results are read from where they were put; a year is as long as anybody looks back. */
const LONGEST_RESULTS_DAYS = 365
const resultsRetentionDays = z
  .int()
  .min(1, 'is less than 1')
  .max(LONGEST_RESULTS_DAYS, `is more than ${LONGEST_RESULTS_DAYS}`)
/** Who had an address is asked about within the time that other systems' logs are kept. */
const LONGEST_TRACES_DAYS = 730
const tracesRetentionDays = z
  .int()
  .min(1, 'is less than 1')
  .max(LONGEST_TRACES_DAYS, `is more than ${LONGEST_TRACES_DAYS}`)
const retentionBody = z.strictObject({
  resultsRetentionDays: resultsRetentionDays.optional(),
  tracesRetentionDays: tracesRetentionDays.optional(),
  result: days.optional(),
  snapshot: days.optional(),
  status: days.optional(),
  query: days.optional(),
  audit: days.optional(),
} satisfies Record<(typeof LINE_TYPES)[number] | 'resultsRetentionDays' | 'tracesRetentionDays', z.ZodType>)
const retentionSchema = z
  .object({
    days: z.record(z.enum(LINE_TYPES), z.int()),
    classes: z.array(z.int()),
    resultsRetentionDays: z.int().openapi({
      description: 'Days that results of live queries stay after the query closed; its counts stay longer',
    }),
    tracesRetentionDays: z.int().openapi({
      description: 'Days that addresses, MACs and users of nodes are kept after they ended',
    }),
  })
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
    (c) => {
      const { retention, resultsRetentionDays, tracesRetentionDays } = c.var.environment
      return c.json(shown(readRetention(retention), resultsRetentionDays, tracesRetentionDays))
    },
  )
  routes.openapi(
    createRoute({
      method: 'patch',
      path: PATH,
      description:
        'Types that are not named stay as they are. It holds for lines that are archived from now on: those of ' +
        'before end when they were to. Days of results hold for all queries.',
      request: { params: inEnvironment, body: jsonBody(retentionBody) },
      responses: replies(200, 'Set', retentionSchema.extend(published)),
    }),
    async (c) => set(c, c.req.valid('json')),
  )
}

async function set(c: OperatorContext, body: z.infer<typeof retentionBody>): Promise<Response> {
  const { environment, db } = c.var
  const { resultsRetentionDays: results, tracesRetentionDays: traces, ...types } = body
  const named = Object.fromEntries(Object.entries(types).filter(([, value]) => value !== undefined))
  const retention: Retention = { ...readRetention(environment.retention), ...named }
  const note = environmentChangeNote(c, 'retention.set', environment.id, {
    days: retention,
    ...(results === undefined ? {} : { resultsRetentionDays: results }),
    ...(traces === undefined ? {} : { tracesRetentionDays: traces }),
  })
  const revision = await updateRetention(db, note, environment.id, retention, { results, traces })
  const live = await publishEnvironment(c.env, environment.id, revision)
  const { resultsRetentionDays, tracesRetentionDays } = environment
  const kept = shown(retention, results ?? resultsRetentionDays, traces ?? tracesRetentionDays)
  return c.json({ ...kept, revision, live })
}

function shown(retention: Retention, resultsRetentionDays: number, tracesRetentionDays: number) {
  const byType = LINE_TYPES.map((type) => [type, retentionDaysOf(retention, type)] as const)
  return {
    days: Object.fromEntries(byType),
    classes: [...RETENTION_CLASSES],
    resultsRetentionDays,
    tracesRetentionDays,
  }
}
