/** /environments/{env}/intervals: how often agents come, spread over 16 groups of nodes. */

import { createRoute, z } from '@hono/zod-openapi'
import { readIntervalBody } from '../config/interval-body.ts'
import { overruledIntervals, readIntervals, type ManagedIntervals } from '../config/intervals.ts'
import { layersOfVersion, stableConfiguration } from '../db/configurations.ts'
import type { ChangeNote } from '../db/control.ts'
import { updateIntervals } from '../db/intervals.ts'
import {
  LONGEST_INTERVAL_S,
  RECOMMENDED_INTERVALS,
  SHORTEST_INTERVAL_S,
  type ManagedOption,
} from '../fleet/intervals.ts'
import { SPLAY_BUCKETS, SPLAY_SHARE } from '../fleet/splay.ts'
import { pointerOf } from '../lib/json-pointer.ts'
import { environmentChangeNote } from './change-note.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironment, jsonBody, published, replies } from './describe.ts'
import { unprocessable, type Fault } from './problem.ts'
import { publishEnvironment } from './publish.ts'

/** Seconds, as operators may write them. */
export const intervalSeconds = z
  .int()
  .min(SHORTEST_INTERVAL_S, `is less than ${SHORTEST_INTERVAL_S}`)
  .max(LONGEST_INTERVAL_S, `is more than ${LONGEST_INTERVAL_S}`)
const settings = {
  config_tls_refresh: intervalSeconds.optional().openapi({
    description:
      'Between two fetches of the configuration. Agents that were started without --config_refresh ignore it',
  }),
  distributed_interval: intervalSeconds
    .optional()
    .openapi({ description: 'Between two polls for live queries' }),
  logger_tls_period: intervalSeconds.optional().openapi({ description: 'Between two POSTs of log lines' }),
}
const intervalsBody = z.strictObject({
  ...settings,
  layers: z
    .record(z.string(), z.strictObject(settings))
    .optional()
    .openapi({ description: 'By the name of a layer; of several that a node is in the last one counts' }),
})
const seconds = z.int().nullable()
const intervalsSchema = z
  .object({
    managed: z.boolean(),
    config_tls_refresh: seconds,
    distributed_interval: seconds,
    logger_tls_period: seconds,
    layers: z.record(z.string(), z.record(z.string(), z.int())),
    recommended: z.record(z.string(), z.int()),
    splay: z.object({ buckets: z.int(), share: z.number() }).openapi({
      description: 'Each group of nodes gets whole seconds of its own, so much shorter or longer at most',
    }),
    warnings: z.array(z.object({ pointer: z.string(), detail: z.string() })),
  })
  .openapi('Intervals')

const PATH = '/environments/{env}/intervals'

export function addIntervalRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: PATH,
      request: { params: inEnvironment },
      responses: replies(200, 'How often agents come', intervalsSchema),
    }),
    async (c) => c.json(await shown(c, readIntervals(c.var.environment.intervals))),
  )
  routes.openapi(
    createRoute({
      method: 'put',
      path: PATH,
      description:
        'All three, or none: `{}` ends it, and nodes are told the defaults of osquery (60 s, and 4 s for logs) where ' +
        'their configuration says nothing. It is part of no version. What a document, a layer or a pack says wins.',
      request: { params: inEnvironment, body: jsonBody(intervalsBody) },
      responses: replies(200, 'Set', intervalsSchema.extend(published)),
    }),
    async (c) => set(c, c.req.valid('json')),
  )
}

async function set(c: OperatorContext, body: z.infer<typeof intervalsBody>): Promise<Response> {
  const { environment, db } = c.var
  const names = (await presentLayers(c)).map(({ name }) => name)
  const read = readIntervalBody(body, names)
  if (!read.ok) return unprocessable(...read.reason)
  const note = intervalsNote(c, read.value)
  const revision = await updateIntervals(db, note, environment.id, read.value)
  const live = await publishEnvironment(c.env, environment.id, revision)
  return c.json({ ...(await shown(c, read.value)), revision, live })
}

/** The audit row of a change of nothing else. */
export function intervalsNote(c: OperatorContext, { base, layers }: ManagedIntervals): ChangeNote {
  return environmentChangeNote(c, 'intervals.set', c.var.environment.id, { ...base, layers })
}

async function presentLayers(c: OperatorContext) {
  const { id } = c.var.environment
  const { version } = await stableConfiguration(c.var.db, id)
  return layersOfVersion(c.var.db, id, version)
}

async function shown(c: OperatorContext, { base, layers }: ManagedIntervals) {
  const each = (option: ManagedOption) => base?.[option] ?? null
  return {
    managed: base !== null,
    config_tls_refresh: each('config_tls_refresh'),
    distributed_interval: each('distributed_interval'),
    logger_tls_period: each('logger_tls_period'),
    layers,
    recommended: RECOMMENDED_INTERVALS,
    splay: { buckets: SPLAY_BUCKETS, share: SPLAY_SHARE },
    warnings: base === null ? [] : await warningsOf(c, layers),
  }
}

/** What operators' documents say themselves, and so nobody manages; and layers that are gone. */
async function warningsOf(c: OperatorContext, layers: ManagedIntervals['layers']): Promise<Fault[]> {
  const { id } = c.var.environment
  const { version, document } = await stableConfiguration(c.var.db, id)
  const present = await layersOfVersion(c.var.db, id, version)
  const gone = Object.keys(layers)
    .filter((name) => present.every((layer) => layer.name !== name))
    .map((name) => ({ pointer: pointerOf(['layers', name]), detail: 'there is no such layer any more' }))
  return [...overruledIntervals({ document, layers: present }), ...gone]
}
