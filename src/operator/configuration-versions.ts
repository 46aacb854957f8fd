/** /environments/{env}/configuration/versions: every change that was ever made, what it changed, and the way back. */

import { createRoute, z } from '@hono/zod-openapi'
import { asOneValue } from '../config/content.ts'
import { differenceOf } from '../config/difference.ts'
import {
  findConfiguration,
  layersOfVersion,
  listConfigurations,
  type ConfigurationLayer,
  type ConfigurationRow,
  type ConfigurationSummaryRow,
} from '../db/configurations.ts'
import { utf8 } from '../lib/bytes.ts'
import { rfc3339 } from '../lib/time.ts'
import { layerSchema, layerText } from './configuration-layers.ts'
import { storedSchema, versionMessage } from './configuration.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironment, jsonBody, replies, repliesList, time } from './describe.ts'
import { numberKey, pageOf, pagingQuery } from './paging.ts'
import { notFound, unprocessable } from './problem.ts'
import { rolloutBody } from './rollout-bodies.ts'
import { storeVersion } from './store-version.ts'

/** A reply stays readable; what is beyond is in the documents themselves. */
export const MAX_CHANGES = 1_000

const versionSchema = z
  .object({
    version: z.int(),
    sha256: z.string(),
    bytes: z.int(),
    createdAt: time,
    createdBy: z.string(),
    message: z.string(),
  })
  .openapi('ConfigurationVersion')

export const changeSchema = z
  .object({
    pointer: z.string(),
    change: z.enum(['added', 'removed', 'changed']),
    before: z.unknown().optional(),
    after: z.unknown().optional(),
  })
  .openapi('ConfigurationChange')

const differenceSchema = z.object({
  version: z.int(),
  against: z.int().nullable(),
  changes: z.array(changeSchema),
  truncated: z.boolean(),
})

const wholeVersionSchema = versionSchema.extend({
  document: z.record(z.string(), z.unknown()),
  layers: z.array(layerSchema),
})

const number = z
  .string()
  .regex(/^[1-9]\d{0,8}$/, 'is not the number of a version')
  .transform(Number)
  .openapi({ type: 'integer', minimum: 1 })
const oneVersion = inEnvironment.extend({ version: number })
const rollbackBody = z.strictObject({
  version: z.int().min(1),
  message: versionMessage.optional(),
  rollout: rolloutBody.optional(),
  supersede: z.boolean().optional(),
})

const PATH = '/environments/{env}/configuration'

export function addConfigurationVersionRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: `${PATH}/versions`,
      request: { params: inEnvironment, query: z.object(pagingQuery(numberKey)) },
      responses: repliesList(versionSchema),
    }),
    async (c) => {
      const { cursor, limit } = c.req.valid('query')
      const rows = await listConfigurations(c.var.db, c.var.environment.id, cursor?.[0] ?? null, limit + 1)
      const page = pageOf(rows, limit, ({ version }) => [version])
      return c.json({ items: page.rows.map(shown), nextCursor: page.nextCursor })
    },
  )
  routes.openapi(
    createRoute({
      method: 'get',
      path: `${PATH}/versions/{version}`,
      request: { params: oneVersion },
      responses: replies(200, 'That version, whole', wholeVersionSchema),
    }),
    async (c) => {
      const row = await versionOfPath(c, c.req.valid('param').version)
      if (row instanceof Response) return row
      const layers = await layersOfVersion(c.var.db, row.environmentId, row.version)
      return c.body(contentText(row, layers), 200, { 'content-type': 'application/json' })
    },
  )
  addComparingRoutes(routes)
}

function addComparingRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: `${PATH}/versions/{version}/changes`,
      request: {
        params: oneVersion,
        query: z.object({
          against: number.optional().openapi({ description: 'Compared with; else the version before' }),
        }),
      },
      responses: replies(200, 'What this version changed', differenceSchema),
    }),
    async (c) => changesOf(c, c.req.valid('param').version, c.req.valid('query').against),
  )
  routes.openapi(
    createRoute({
      method: 'post',
      path: `${PATH}/rollback`,
      request: { params: inEnvironment, body: jsonBody(rollbackBody) },
      responses: replies(200, 'Stored as a new version that equals the old one', storedSchema),
    }),
    async (c) => {
      const { version, message, ...options } = c.req.valid('json')
      const row = await findConfiguration(c.var.db, c.var.environment.id, version)
      if (row === null) return unprocessable({ pointer: '/version', detail: 'there is no such version' })
      const layers = await layersOfVersion(c.var.db, c.var.environment.id, version)
      const content = { document: row.document, layers }
      return storeVersion(c, message ?? `rollback to version ${version}`, () => content, {
        ...options,
        mayExceedBudget: true,
      })
    },
  )
}

async function versionOfPath(c: OperatorContext, version: number): Promise<ConfigurationRow | Response> {
  return (
    (await findConfiguration(c.var.db, c.var.environment.id, version)) ?? notFound('configuration version')
  )
}

async function changesOf(
  c: OperatorContext,
  version: number,
  against: number | undefined,
): Promise<Response> {
  const row = await versionOfPath(c, version)
  if (row instanceof Response) return row
  const otherVersion = against ?? version - 1
  const other =
    otherVersion < 1 ? null : await findConfiguration(c.var.db, c.var.environment.id, otherVersion)
  if (other === null && against !== undefined)
    return unprocessable({ pointer: 'against', detail: 'there is no such version' })
  const changes = differenceOf(other === null ? {} : await comparable(c, other), await comparable(c, row))
  return c.json({
    version,
    against: other?.version ?? null,
    changes: changes.slice(0, MAX_CHANGES),
    truncated: changes.length > MAX_CHANGES,
  })
}

async function comparable(c: OperatorContext, row: ConfigurationRow): Promise<unknown> {
  return asOneValue({
    document: row.document,
    layers: await layersOfVersion(c.var.db, row.environmentId, row.version),
  })
}

/** The documents as they are stored, so that no number changes on its way. */
function contentText(row: ConfigurationRow, layers: readonly ConfigurationLayer[]): string {
  const bytes = utf8(row.document).length
  const head = JSON.stringify(shown({ ...row, bytes })).slice(0, -1)
  return `${head},"document":${row.document},"layers":[${layers.map(layerText).join(',')}]}`
}

function shown(row: ConfigurationSummaryRow) {
  const { version, sha256, bytes, createdAtMs, createdBy, message } = row
  return { version, sha256, bytes, createdAt: rfc3339(createdAtMs), createdBy, message }
}
