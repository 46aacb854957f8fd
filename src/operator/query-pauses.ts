/** /environments/{env}/costs/{query}/pause and /resume: agents leave a scheduled query out, without a new version. */

import { createRoute, z } from '@hono/zod-openapi'
import { builtInDocument, readBuiltIn } from '../config/built-in.ts'
import { mergeLayers } from '../config/merge.ts'
import { scheduledNamesOf } from '../config/scheduled-names.ts'
import type { JsonObject } from '../lib/json-value.ts'
import {
  findConfiguration,
  layersOfVersion,
  newestVersion,
  stableConfiguration,
} from '../db/configurations.ts'
import { listPaused, pauseQuery, resumeQuery } from '../db/paused-queries.ts'
import { environmentChangeNote } from './change-note.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { pausedSchema, pausedView } from './cost-view.ts'
import { oneQuery } from './costs.ts'
import { jsonBody, published, replies } from './describe.ts'
import { notFound } from './problem.ts'
import { publishEnvironment } from './publish.ts'

const MAX_REASON_CHARACTERS = 500
const pauseBody = z.strictObject({
  reason: z
    .string()
    .trim()
    .min(1, 'is empty')
    .max(MAX_REASON_CHARACTERS, `is longer than ${MAX_REASON_CHARACTERS} characters`),
})
const changedSchema = z.object({ query: z.string(), paused: pausedSchema, ...published })

const PATH = '/environments/{env}/costs/{query}'

export function addQueryPauseRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'post',
      path: `${PATH}/pause`,
      description:
        'Left out of what agents get until it is resumed; the configuration and its versions keep it.',
      request: { params: oneQuery, body: jsonBody(pauseBody) },
      responses: replies(200, 'Paused', changedSchema),
    }),
    async (c) => pause(c, c.req.valid('param').query, c.req.valid('json').reason),
  )
  routes.openapi(
    createRoute({
      method: 'post',
      path: `${PATH}/resume`,
      description:
        'Agents get it again. For a day it is not paused by itself: so long agents keep it on their denylist.',
      request: { params: oneQuery },
      responses: replies(200, 'Resumed', changedSchema),
    }),
    async (c) => resume(c, c.req.valid('param').query),
  )
}

async function pause(c: OperatorContext, name: string, reason: string): Promise<Response> {
  const { environment, db, nowMs, actor } = c.var
  if (!(await isScheduled(c, name))) return notFound('scheduled query')
  const note = environmentChangeNote(c, 'scheduled-query.pause', name, { reason })
  const revision = await pauseQuery(db, note, { environmentId: environment.id, name, reason })
  const live = await publishEnvironment(c.env, environment.id, revision)
  const row = {
    environmentId: environment.id,
    name,
    pausedAtMs: nowMs,
    pausedBy: actor,
    reason,
    resumedAtMs: null,
  }
  return c.json({ query: name, paused: pausedView(row), revision, live })
}

async function resume(c: OperatorContext, name: string): Promise<Response> {
  const { environment, db } = c.var
  const { paused } = await listPaused(db, environment.id)
  if (!paused.some((row) => row.name === name)) return notFound('paused query')
  const note = environmentChangeNote(c, 'scheduled-query.resume', name)
  const revision = await resumeQuery(db, note, environment.id, name)
  const live = await publishEnvironment(c.env, environment.id, revision)
  return c.json({ query: name, paused: null, revision, live })
}

/** Whether a version that nodes get or may get, a layer over it, or the server schedules something of this name. */
async function isScheduled(c: OperatorContext, name: string): Promise<boolean> {
  const { environment, db } = c.var
  const stable = await stableConfiguration(db, environment.id)
  const newest = await findConfiguration(db, environment.id, await newestVersion(db, environment.id))
  const texts = [builtInDocument(readBuiltIn(environment.builtIn))]
  for (const { version, document } of [stable, newest ?? stable]) {
    const layers = await layersOfVersion(db, environment.id, version)
    texts.push(document, mergeLayers(document, layers).text)
    texts.push(...layers.map((layer) => mergeLayers(document, [layer]).text))
  }
  return texts.some((text) =>
    scheduledNamesOf(JSON.parse(text) as JsonObject).some(({ full }) => full === name),
  )
}
