/** /environments: tenants of nodes. */

import { createRoute, z } from '@hono/zod-openapi'
import { isUniqueViolation } from '../db/control.ts'
import {
  countNodes,
  highestOrdinal,
  insertEnvironment,
  listEnvironments,
  type EnvironmentRow,
} from '../db/environments.ts'
import { DEFAULT_BUILT_IN, type BuiltInSettings } from '../config/built-in.ts'
import { isUuid } from '../lib/bytes.ts'
import { DEPLOYMENT_ENVIRONMENT_ID } from '../logs/archive-object.ts'
import { countersOf } from '../presence/read.ts'
import { rfc3339 } from '../lib/time.ts'
import { builtInBody } from './built-in-queries.ts'
import { brownoutSchema, shownBrownout } from './brownout.ts'
import { changeNote } from './change-note.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironment, jsonBody, published, replies, repliesList, time } from './describe.ts'
import { brownoutOf } from './directory-objects.ts'
import { heldBackOf, heldBackSchema } from './held-back.ts'
import { pageOf, pagingQuery, timeKey } from './paging.ts'
import { conflict } from './problem.ts'
import { publishDirectory, publishEnvironment } from './publish.ts'

/** First segments of paths that agents and operators use: an environment of this name could not be reached. */
const RESERVED_NAMES = new Set(['api', 'public', 'health', 'enroll', 'console', 'assets', 'metrics', 'mcp'])

const environmentName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must match [a-z0-9][a-z0-9-]{0,62}')
  .refine((name) => !RESERVED_NAMES.has(name), 'is reserved')
  .refine((name) => !isUuid(name), 'must not look like a UUID: paths take either')
const environmentBody = z.strictObject({
  name: environmentName,
  uuid: z
    .string()
    .toLowerCase()
    .refine(isUuid, 'is not a UUID')
    .refine((uuid) => uuid !== DEPLOYMENT_ENVIRONMENT_ID, 'is reserved')
    .nullish(),
  builtInQueries: builtInBody.optional(),
})
const environmentSchema = z
  .object({ id: z.uuid(), name: z.string(), createdAt: time, revision: z.int(), nodeCount: z.int() })
  .openapi('Environment')

const counted = {
  heldBack: heldBackSchema.nullable().openapi({ description: 'What is not published without `force`' }),
  counters: z.record(z.string(), z.int()).openapi({
    description: 'Since ever: requests of each kind (request-…), and what agents sent that was odd',
  }),
  brownout: brownoutSchema,
}

export function addEnvironmentRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/environments',
      request: { query: z.object(pagingQuery(timeKey)) },
      responses: repliesList(environmentSchema),
    }),
    async (c) => {
      const { cursor, limit } = c.req.valid('query')
      const rows = await listEnvironments(c.var.db, cursor, limit + 1)
      const page = pageOf(rows, limit, (row) => [row.createdAtMs, row.id])
      return c.json({ items: await shown(c, page.rows), nextCursor: page.nextCursor })
    },
  )
  routes.openapi(
    createRoute({
      method: 'post',
      path: '/environments',
      request: { body: jsonBody(environmentBody) },
      responses: replies(201, 'Made', environmentSchema.extend(published)),
    }),
    async (c) => {
      const { name, uuid, builtInQueries } = c.req.valid('json')
      return createEnvironment(c, {
        name,
        id: uuid ?? crypto.randomUUID(),
        builtIn: builtInQueries ?? DEFAULT_BUILT_IN,
      })
    },
  )
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/environments/{env}',
      request: { params: inEnvironment },
      responses: replies(200, 'The environment', environmentSchema.extend(counted)),
    }),
    async (c) => {
      const { id } = c.var.environment
      const [environment] = await shown(c, [c.var.environment])
      const counters = await countersOf(c.env, id, await highestOrdinal(c.var.db, id))
      const brownout = shownBrownout(await brownoutOf(c, id), c.var.nowMs)
      return c.json({ ...environment, heldBack: await heldBackOf(c), counters, brownout })
    },
  )
}

async function createEnvironment(
  c: OperatorContext,
  environment: { id: string; name: string; builtIn: BuiltInSettings },
): Promise<Response> {
  const { id: environmentId, name } = environment
  const note = { ...changeNote(c, 'environment.create', environmentId, { name }), environmentId }
  try {
    const { row, revision } = await insertEnvironment(c.var.db, note, environment)
    const [inDirectory, compiled] = await Promise.all([
      publishDirectory(c.env, revision),
      publishEnvironment(c.env, row.id, row.revision),
    ])
    const [body] = await shown(c, [row])
    return c.json({ ...body, live: inDirectory && compiled }, 201)
  } catch (error) {
    if (isUniqueViolation(error, 'environments.name')) return conflict('/name', 'is taken')
    if (isUniqueViolation(error, 'environments.id')) return conflict('/uuid', 'is taken')
    throw error
  }
}

async function shown(c: OperatorContext, rows: readonly EnvironmentRow[]) {
  const counts = await countNodes(
    c.var.db,
    rows.map(({ id }) => id),
  )
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    createdAt: rfc3339(row.createdAtMs),
    revision: row.revision,
    nodeCount: counts.get(row.id) ?? 0,
  }))
}
