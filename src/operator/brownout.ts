/**
 * /brownout and /environments/{env}/brownout: one switch that makes agents come less often, accelerates nobody and lets
 * nobody enroll. It is turned in the Directory object and told to the Environment objects, so that it works with D1 away.
 */

import { createRoute, z } from '@hono/zod-openapi'
import {
  activeOf,
  DEFAULT_INTERVAL_FACTOR,
  MOST_INTERVAL_FACTOR,
  stretchOf,
  type Brownout,
  type BrownoutState,
} from '../fleet/brownout.ts'
import { Deadline } from '../lib/deadline.ts'
import { rfc3339, rfc3339OrNull } from '../lib/time.ts'
import { DIRECTORY_NAME } from '../snapshot/keys.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironment, jsonBody, replies, time } from './describe.ts'
import { brownoutOf, directoryOf, DIRECTORY_WITHIN_MS } from './directory-objects.ts'
import { unprocessable } from './problem.ts'

/** An object that does not answer in this time is told later. */
const ENVIRONMENT_WITHIN_MS = 3_000
/** Environments that are told at once; a Worker has six connections, and those who wait are told by their alarm. */
const TOLD_AT_ONCE = 20
const TOLD_WITHIN_MS = 10_000
const LONGEST_S = 30 * 86_400

const brownoutBody = z.strictObject({
  on: z.boolean(),
  reason: z.string().trim().max(500, 'is longer than 500 characters').optional(),
  intervalFactor: z
    .number()
    .min(1, 'is less than 1')
    .max(MOST_INTERVAL_FACTOR, `is more than ${MOST_INTERVAL_FACTOR}`)
    .optional()
    .openapi({ description: `Intervals are so many times as long; ${DEFAULT_INTERVAL_FACTOR} unless said` }),
  expiresInSeconds: z
    .int()
    .min(60, 'is less than 60')
    .max(LONGEST_S, `is more than ${LONGEST_S}`)
    .optional()
    .openapi({ description: 'It ends by itself after this; else when somebody ends it' }),
})
const switchSchema = z.object({
  on: z.boolean(),
  reason: z.string(),
  intervalFactor: z.number(),
  by: z.string(),
  since: time,
  until: time.nullable(),
})
export const brownoutSchema = z
  .object({
    active: z.boolean().openapi({ description: 'Whether one of the two switches is on now' }),
    intervalFactor: z.number().openapi({ description: 'Of the stronger one; 1: intervals are as they are' }),
    environment: switchSchema.nullable().openapi({ description: 'Null: never turned' }),
    deployment: switchSchema.nullable(),
  })
  .openapi('Brownout')
const toldSchema = brownoutSchema.extend({
  live: z
    .boolean()
    .openapi({ description: 'Whether all environments know it; others learn it within 5 minutes' }),
  environments: z.object({ all: z.int(), told: z.int() }),
})

export function addBrownoutRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/brownout',
      responses: replies(200, 'The switch of the deployment', brownoutSchema),
    }),
    async (c) => c.json(shownBrownout(await brownoutOf(c, null), c.var.nowMs)),
  )
  routes.openapi(
    createRoute({
      method: 'put',
      path: '/brownout',
      description: DESCRIPTION,
      request: { body: jsonBody(brownoutBody) },
      responses: replies(200, 'Turned', toldSchema),
    }),
    async (c) => turn(c, null, c.req.valid('json')),
  )
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/environments/{env}/brownout',
      request: { params: inEnvironment },
      responses: replies(200, 'The switches', brownoutSchema),
    }),
    async (c) => c.json(shownBrownout(await brownoutOf(c, c.var.environmentId), c.var.nowMs)),
  )
  routes.openapi(
    createRoute({
      method: 'put',
      path: '/environments/{env}/brownout',
      description: DESCRIPTION,
      request: { params: inEnvironment, body: jsonBody(brownoutBody) },
      responses: replies(200, 'Turned', toldSchema),
    }),
    async (c) => turn(c, c.var.environmentId, c.req.valid('json')),
  )
}

const DESCRIPTION =
  'Agents learn of longer intervals with their next configuration, and of their end with one after that: within their ' +
  'interval, times the factor. Enrollment and acceleration stop within seconds. It works while D1 is away; the audit ' +
  'row is written when it is back.'

async function turn(
  c: OperatorContext,
  environmentId: string | null,
  body: z.infer<typeof brownoutBody>,
): Promise<Response> {
  const { on, reason = '', intervalFactor = DEFAULT_INTERVAL_FACTOR, expiresInSeconds } = body
  if (on && reason === '') return unprocessable({ pointer: '/reason', detail: 'is missing: others will ask' })
  const { actor, nowMs } = c.var
  const untilMs = expiresInSeconds === undefined || !on ? null : nowMs + expiresInSeconds * 1_000
  const brownout: Brownout = { on, reason, intervalFactor, by: actor, atMs: nowMs, untilMs }
  const note = {
    actor,
    action: on ? 'brownout.begin' : 'brownout.end',
    environmentId,
    subject: environmentId ?? 'deployment',
    detail: { reason, ...(on ? { intervalFactor, until: rfc3339OrNull(untilMs) } : {}) },
    atMs: nowMs,
  }
  const directory = c.env.DIRECTORY.getByName(DIRECTORY_NAME)
  await new Deadline(DIRECTORY_WITHIN_MS).run(directory.setBrownout(environmentId, brownout, note))
  const ids =
    environmentId === null ? (await directoryOf(c)).environments.map(({ id }) => id) : [environmentId]
  const told = await tell(c, ids)
  const state = await brownoutOf(c, environmentId)
  const environments = { all: ids.length, told }
  return c.json({ ...shownBrownout(state, nowMs), live: told === ids.length, environments })
}

/** How many environments took it over; the others ask the directory at their next alarm. */
async function tell(c: OperatorContext, ids: readonly string[]): Promise<number> {
  const deadline = new Deadline(TOLD_WITHIN_MS)
  const waiting = [...ids]
  let told = 0
  async function next(): Promise<void> {
    for (let id = waiting.pop(); id !== undefined && deadline.remainingMs() > 0; id = waiting.pop()) {
      try {
        const state = await brownoutOf(c, id)
        await deadline.run(c.env.ENVIRONMENT.getByName(id).brownOut(state), ENVIRONMENT_WITHIN_MS)
        told += 1
      } catch (error) {
        console.warn(JSON.stringify({ event: 'brownout-not-told', environmentId: id, error: String(error) }))
      }
    }
  }
  await Promise.all(Array.from({ length: TOLD_AT_ONCE }, next))
  return told
}

/** As operators see it. */
export function shownBrownout(state: BrownoutState, nowMs: number) {
  return {
    active: activeOf(state, nowMs).length > 0,
    intervalFactor: stretchOf(state, nowMs).factor,
    environment: shownSwitch(state.own, nowMs),
    deployment: shownSwitch(state.deployment, nowMs),
  }
}

function shownSwitch(brownout: Brownout | null, nowMs: number) {
  if (brownout === null) return null
  const { reason, intervalFactor, by, atMs, untilMs } = brownout
  const on = activeOf({ sequence: 0, own: brownout, deployment: null }, nowMs).length > 0
  return { on, reason, intervalFactor, by, since: rfc3339(atMs), until: rfc3339OrNull(untilMs) }
}
