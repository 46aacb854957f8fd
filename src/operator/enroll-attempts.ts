/** GET …/enroll-attempts: what became of enrolls, by minute. No text of a secret is in it, right or wrong. */

import { createRoute, z } from '@hono/zod-openapi'
import { Deadline } from '../lib/deadline.ts'
import { rfc3339 } from '../lib/time.ts'
import { ATTEMPTS_KEPT_MINUTES } from '../snapshot/enroll-counts.ts'
import { DIRECTORY_NAME } from '../snapshot/keys.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironment, replies, time } from './describe.ts'

const DEFAULT_MINUTES = 60
/** An object that does not say in this time is an outage. */
const COUNTS_WITHIN_MS = 3_000

const query = z.object({
  minutes: z
    .string()
    .regex(/^\d{1,9}$/, 'is not a number')
    .transform(Number)
    .pipe(
      z.number().min(1, 'is less than 1').max(ATTEMPTS_KEPT_MINUTES, `is more than ${ATTEMPTS_KEPT_MINUTES}`),
    )
    .optional()
    .transform((minutes) => minutes ?? DEFAULT_MINUTES)
    .openapi({ type: 'integer', minimum: 1, maximum: ATTEMPTS_KEPT_MINUTES, default: DEFAULT_MINUTES }),
})

const attemptsSchema = z
  .object({
    totals: z.record(z.string(), z.int()),
    items: z.array(z.object({ at: time, outcome: z.string(), count: z.int() })),
  })
  .openapi('EnrollAttempts')

const OUTCOMES =
  '`enrolled`, or why not: `wrong-secret`, `revoked`, `expired`, `network`, `platform`, `quota`, `serial`, and other ' +
  'reasons by name. An isolate tells its counts once a minute: the newest minute is not whole yet.'

export function addEnrollAttemptRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/environments/{env}/enroll-attempts',
      description: OUTCOMES,
      request: { params: inEnvironment, query },
      responses: replies(200, 'By minute, newest first', attemptsSchema),
    }),
    async (c) => c.json(await attempts(c, c.var.environment.id, c.req.valid('query').minutes)),
  )
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/enroll-attempts',
      description: `Of agents that told no environment, by secret or by path. ${OUTCOMES}`,
      request: { query },
      responses: replies(200, 'By minute, newest first', attemptsSchema),
    }),
    async (c) => c.json(await attempts(c, '', c.req.valid('query').minutes)),
  )
}

async function attempts(c: OperatorContext, environmentId: string, minutes: number) {
  const since = Math.floor(c.var.nowMs / 60_000) - minutes + 1
  const directory = c.env.DIRECTORY.getByName(DIRECTORY_NAME)
  const counted = await new Deadline(COUNTS_WITHIN_MS).run(directory.enrollAttempts(environmentId, since))
  const totals: Record<string, number> = {}
  for (const { outcome, count } of counted) totals[outcome] = (totals[outcome] ?? 0) + count
  const items = counted.map(({ minute, outcome, count }) => ({
    at: rfc3339(minute * 60_000),
    outcome,
    count,
  }))
  return { totals, items }
}
