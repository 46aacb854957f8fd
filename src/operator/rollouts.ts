/** /environments/{env}/configuration/rollouts: versions on their way from a few nodes to all, and the way back. */

import { createRoute, z } from '@hono/zod-openapi'
import { lookAtGates } from '../config/rollout-duty.ts'
import { makeMove, type GateLook } from '../config/rollout-moves.ts'
import { findConfiguration, stableConfiguration } from '../db/configurations.ts'
import {
  findRollout,
  listRollouts,
  membersOfRollout,
  rolloutUnderWay,
  type RolloutRow,
} from '../db/rollouts.ts'
import type { RolloutMove } from '../fleet/rollout.ts'
import { ok, type Result } from '../lib/result.ts'
import { versionMessage } from './configuration.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironment, inEnvironmentWithId, jsonBody, published, replies, repliesList } from './describe.ts'
import { pageOf, pagingQuery, timeKey } from './paging.ts'
import { conflict, notFound, unprocessable } from './problem.ts'
import { publishEnvironment } from './publish.ts'
import { rolloutBody, rolloutSchema, rolloutView } from './rollout-bodies.ts'
import { inTheWay, rolloutInTheWay } from './rollout-in-the-way.ts'
import { faultsOfRollout, startRollout } from './rollout-start.ts'

const PATH = '/environments/{env}/configuration/rollouts'
const MOVES = ['advance', 'pause', 'resume', 'halt', 'rollback'] as const

const startBody = rolloutBody.extend({
  version: z.int().min(1),
  message: versionMessage.optional(),
  supersede: z.boolean().optional(),
})
const withReason = z.object({ reason: versionMessage.optional() })

export function addRolloutRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'post',
      path: PATH,
      request: { params: inEnvironment, body: jsonBody(startBody) },
      responses: replies(201, 'Under way', rolloutSchema.extend(published)),
    }),
    async (c) => start(c, c.req.valid('json')),
  )
  routes.openapi(
    createRoute({
      method: 'get',
      path: PATH,
      request: { params: inEnvironment, query: z.object(pagingQuery(timeKey)) },
      responses: repliesList(rolloutSchema),
    }),
    async (c) => {
      const { cursor, limit } = c.req.valid('query')
      const rows = await listRollouts(c.var.db, c.var.environment.id, cursor, limit + 1)
      const page = pageOf(rows, limit, (row) => [row.createdAtMs, row.id])
      const items = page.rows.map((row) => rolloutView(row, c.var.nowMs))
      return c.json({ items, nextCursor: page.nextCursor })
    },
  )
  routes.openapi(
    createRoute({
      method: 'get',
      path: `${PATH}/{id}`,
      request: { params: inEnvironmentWithId },
      responses: replies(
        200,
        'That rollout; while it is under way, with what its gates say now',
        rolloutSchema,
      ),
    }),
    async (c) => {
      const row = await findRollout(c.var.db, c.var.environment.id, c.req.valid('param').id)
      return row === null ? notFound('rollout') : c.json(await detailOf(c, row))
    },
  )
  for (const kind of MOVES)
    routes.openapi(
      createRoute({
        method: 'post',
        path: `${PATH}/{id}/${kind}`,
        request: { params: inEnvironmentWithId, query: withReason },
        responses: replies(200, 'As it is then', rolloutSchema.extend(published)),
      }),
      async (c) => {
        const row = await findRollout(c.var.db, c.var.environment.id, c.req.valid('param').id)
        return row === null ? notFound('rollout') : move(c, row, { kind }, c.req.valid('query').reason)
      },
    )
}

async function start(c: OperatorContext, body: z.infer<typeof startBody>): Promise<Response> {
  const { db, environment } = c.var
  const { version, message = '', supersede = false, ...wanted } = body
  const row = await findConfiguration(db, environment.id, version)
  if (row === null) return unprocessable({ pointer: '/version', detail: 'there is no such version' })
  const stable = await stableConfiguration(db, environment.id)
  if (stable.sha256 === row.sha256)
    return conflict('/version', `all nodes get version ${stable.version}, which is the same`)
  const faults = supersede ? await faultsOfRollout(c, wanted) : null
  if (faults !== null) return faults
  const other = await rolloutInTheWay(c, row.sha256, supersede)
  if (!other.ok) return other.reason
  if (other.value !== null)
    return c.json({ ...(await detailOf(c, other.value)), revision: environment.revision, live: true }, 201)
  const beginning = { version, stableVersion: stable.version, message, content: null, detail: { message } }
  const started = await startRollout(c, wanted, beginning)
  if (started === null) return conflict('/version', 'others change this configuration at the same time')
  if (!started.ok) return started.reason
  const { revision } = started.value
  const live = await publishEnvironment(c.env, environment.id, revision)
  return c.json({ ...(await detailOf(c, started.value.row)), revision, live }, 201)
}

/** The same move again is the same: nothing is stored. */
async function move(
  c: OperatorContext,
  row: RolloutRow,
  wanted: RolloutMove,
  why: string | undefined,
): Promise<Response> {
  const { db, actor, nowMs, environment } = c.var
  const other = await rolloutUnderWay(db, environment.id)
  if (other !== null && other.id !== row.id) return inTheWay(other)
  const reason = { by: 'operator', detail: why ?? '' }
  const moved = await makeMove(db, row, wanted, { actor, nowMs, reason })
  if (!moved.ok) return conflict('/state', refusalText(row, moved.reason))
  const { value: raised } = moved
  const revision = raised ?? environment.revision
  const live = raised === null || (await publishEnvironment(c.env, environment.id, revision))
  const after = (await findRollout(db, environment.id, row.id)) ?? row
  return c.json({ ...(await detailOf(c, after, false)), revision, live })
}

function refusalText(
  { version }: RolloutRow,
  refusal: { kind: 'refused'; detail: string } | { kind: 'lost' },
): string {
  if (refusal.kind === 'refused') return `the rollout ${refusal.detail}`
  return `the rollout was moved at the same time, or version ${version} is not what all nodes get: look again`
}

async function detailOf(c: OperatorContext, row: RolloutRow, measured = true) {
  const members = (await membersOfRollout(c.var.db, row.id)).size
  const look = measured && row.endedAtMs === null ? await looked(c, row) : null
  const view = look?.ok === true ? rolloutView(row, c.var.nowMs, look.value) : rolloutView(row, c.var.nowMs)
  return { ...view, members }
}

/** What was said last is better than no reply. */
async function looked(c: OperatorContext, row: RolloutRow): Promise<Result<GateLook, null>> {
  try {
    return ok(await lookAtGates(c.env, c.var.db, row, c.var.nowMs))
  } catch (error) {
    console.warn(JSON.stringify({ event: 'rollout-gates-unknown', error: String(error) }))
    return { ok: false, reason: null }
  }
}
