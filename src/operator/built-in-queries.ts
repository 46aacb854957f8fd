/** /environments/{env}/built-in-queries: what the server schedules beside the operators' configuration. */

import { createRoute, z } from '@hono/zod-openapi'
import { builtInQueries, readBuiltIn, type BuiltInSettings } from '../config/built-in.ts'
import { MAX_INTERVAL_S } from '../config/parser-keys.ts'
import { updateBuiltIn } from '../db/built-in.ts'
import { environmentChangeNote } from './change-note.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironment, jsonBody, published, replies } from './describe.ts'
import { unprocessable } from './problem.ts'
import { publishEnvironment } from './publish.ts'
import { faultsOfPresent } from './store-version.ts'

const DAY_S = 86_400

const kind = z
  .strictObject({
    intervalS: z
      .int()
      .min(1, 'is less than 1')
      .max(MAX_INTERVAL_S, `is more than ${MAX_INTERVAL_S}`)
      .openapi({ description: 'Seconds of the agent running' }),
  })
  .nullable()
export const builtInBody = z.strictObject({
  cost: kind.openapi({ description: 'What scheduled queries cost; null: not asked' }),
  inventory: kind.openapi({
    description: 'What a node is, who is logged in, its addresses; null: not asked',
  }),
})
const builtInSchema = builtInBody
  .extend({
    queries: z
      .array(z.object({ name: z.string(), query: z.string(), intervalS: z.int() }))
      .openapi({ description: 'Entries of the schedule, as agents get them' }),
    linesPerNodeAndDay: z.number().openapi({
      description:
        'Log lines. One of costs is about half a kilobyte for each scheduled query, others are small',
    }),
  })
  .openapi('BuiltInQueries')

const PATH = '/environments/{env}/built-in-queries'

export function addBuiltInQueryRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: PATH,
      request: { params: inEnvironment },
      responses: replies(200, 'What the server schedules', builtInSchema),
    }),
    (c) => c.json(shown(readBuiltIn(c.var.environment.builtIn))),
  )
  routes.openapi(
    createRoute({
      method: 'put',
      path: PATH,
      description: 'Not part of any version of the configuration: it holds for all of them.',
      request: { params: inEnvironment, body: jsonBody(builtInBody) },
      responses: replies(200, 'Set', builtInSchema.extend(published)),
    }),
    async (c) => set(c, c.req.valid('json')),
  )
}

async function set(c: OperatorContext, settings: BuiltInSettings): Promise<Response> {
  const { environment, db } = c.var
  const faults = await faultsOfPresent(c, settings)
  if (faults.length > 0) return unprocessable(...faults)
  const note = environmentChangeNote(c, 'built-in-queries.set', environment.id, { ...settings })
  const revision = await updateBuiltIn(db, note, environment.id, settings)
  const live = await publishEnvironment(c.env, environment.id, revision)
  return c.json({ ...shown(settings), revision, live })
}

function shown(settings: BuiltInSettings) {
  const queries = [...builtInQueries(settings)].map(([name, { query, interval }]) => ({
    name,
    query,
    intervalS: interval,
  }))
  const linesPerNodeAndDay = queries.reduce((sum, { intervalS }) => sum + DAY_S / intervalS, 0)
  return { ...settings, queries, linesPerNodeAndDay: Math.round(linesPerNodeAndDay * 100) / 100 }
}
