/** /environments/{env}/carves: files that nodes hand in. A carve is asked for by a query of kind `carve`. */

import { createRoute, z } from '@hono/zod-openapi'
import { buildCarveInsert, deleteCarve, listCarves, nodeIdsOf, type CarveRow } from '../db/carves.ts'
import { insertQuery } from '../db/queries.ts'
import { carveSql, pathFault } from '../fleet/carve-request.ts'
import type { Targets } from '../fleet/targeting.ts'
import { timeOrderedUuid } from '../lib/bytes.ts'
import { carveOfPath, carveSchema, sessionOf, shownCarve, shownCarveNow } from './carve-view.ts'
import { environmentChangeNote } from './change-note.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import {
  inEnvironment,
  inEnvironmentWithId,
  jsonBody,
  published,
  replies,
  repliesList,
  repliesNothing,
} from './describe.ts'
import { pageOf, pagingQuery, timeKey } from './paging.ts'
import { problem, unprocessable } from './problem.ts'
import { publishEnvironment } from './publish.ts'
import { expiresInSeconds } from './queries.ts'
import { nodesOf, targetsSchema, unresolved } from './targets.ts'

/** A carve is a file from each node: beyond this it is a mistake, or a job for logs. */
const MAX_NODES = 1_000

const PATH = '/environments/{env}/carves'

const carveBody = z.strictObject({
  path: z.string().check((context) => {
    const fault = pathFault(context.value)
    if (fault !== null) context.issues.push({ code: 'custom', message: fault, input: context.value })
  }),
  targets: targetsSchema,
  expiresInSeconds,
})
const requestedSchema = z
  .object({
    id: z.string().openapi({ description: 'Of the carve; of the query where several nodes are targeted' }),
    queryId: z.string(),
    path: z.string(),
    targets: z.record(z.string(), z.unknown()),
    carves: z.array(carveSchema),
    ...published,
  })
  .openapi('CarveRequest')

export function addCarveRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'post',
      path: PATH,
      request: { params: inEnvironment, body: jsonBody(carveBody) },
      responses: replies(201, 'Asked for', requestedSchema),
    }),
    async (c) => createCarve(c, c.req.valid('json')),
  )
  routes.openapi(
    createRoute({
      method: 'get',
      path: PATH,
      request: {
        params: inEnvironment,
        query: z.object({
          ...pagingQuery(timeKey),
          node: z.string().optional().openapi({ description: 'Id of a node' }),
          query: z.string().optional().openapi({ description: 'Id of a query' }),
        }),
      },
      responses: repliesList(carveSchema),
    }),
    async (c) => {
      const { cursor, limit, node, query } = c.req.valid('query')
      const filter = { nodeId: node, queryId: query }
      const rows = await listCarves(c.var.db, c.var.environment.id, filter, cursor, limit + 1)
      const page = pageOf(rows, limit, (row) => [row.createdAtMs, row.id])
      const items = page.rows.map((row) => shownCarve(row, c.var.nowMs))
      return c.json({ items, nextCursor: page.nextCursor })
    },
  )
  addOneCarveRoutes(routes)
}

function addOneCarveRoutes(routes: OperatorRoutes): void {
  const request = { params: inEnvironmentWithId }
  routes.openapi(
    createRoute({
      method: 'get',
      path: `${PATH}/{id}`,
      request,
      responses: replies(200, 'The carve', carveSchema),
    }),
    async (c) => {
      const row = await carveOfPath(c, c.req.valid('param').id)
      return row instanceof Response ? row : c.json(await shownCarveNow(c, row))
    },
  )
  routes.openapi(
    createRoute({
      method: 'get',
      path: `${PATH}/{id}/archive`,
      request,
      responses: replies(200, 'The archive: a tar, or a zstd frame of one', z.string()),
    }),
    async (c) => {
      const row = await carveOfPath(c, c.req.valid('param').id)
      return row instanceof Response ? row : download(c, row)
    },
  )
  routes.openapi(
    createRoute({
      method: 'delete',
      path: `${PATH}/{id}`,
      request,
      responses: repliesNothing('The carve and its archive are gone; a running upload is refused'),
    }),
    async (c) => {
      const row = await carveOfPath(c, c.req.valid('param').id)
      return row instanceof Response ? row : erase(c, row)
    },
  )
}

async function createCarve(
  c: OperatorContext,
  body: { path: string; targets: Targets; expiresInSeconds: number },
): Promise<Response> {
  const { path, targets } = body
  const { environment, nowMs } = c.var
  const nodes = await nodesOf(c, targets)
  if (!nodes.ok) return unresolved(nodes.reason)
  const targeted = nodes.value.size
  if (targeted > MAX_NODES) {
    const detail = `mean ${targeted} nodes; a carve may ask ${MAX_NODES} at most`
    return unprocessable({ pointer: '/targets', detail })
  }
  const queryId = timeOrderedUuid(nowMs)
  const nodeIds = await nodeIdsOf(c.var.db, environment.id, nodes.value)
  const request = { environmentId: environment.id, queryId, path, nodeIds }
  const { statement, rows } = buildCarveInsert(c.var.db, request, nowMs)
  const query = {
    id: queryId,
    kind: 'carve' as const,
    logResults: false,
    sql: carveSql(path),
    targets,
    nodes: nodes.value,
    expiresAtMs: nowMs + body.expiresInSeconds * 1_000,
  }
  const note = environmentChangeNote(c, 'carve.create', queryId, { path, targets, targeted })
  const { revision } = await insertQuery(c.var.db, note, environment, query, [statement])
  const live = await publishEnvironment(c.env, environment.id, revision)
  const carves = rows.map((row) => shownCarve(row, nowMs))
  const [only] = carves.length === 1 ? carves : []
  return c.json({ id: queryId, ...only, queryId, path, targets, carves, revision, live }, 201)
}

async function download(c: OperatorContext, row: CarveRow): Promise<Response> {
  if (row.status !== 'complete' || row.objectKey === null)
    return problem(409, 'The carve is not complete: there is no archive yet.')
  const object = await c.env.CARVES.get(row.objectKey)
  if (object === null) return problem(404, 'The archive is gone.')
  const fileName = row.fileName ?? `${row.id}.tar`
  return new Response(object.body, {
    headers: {
      'content-type': fileName.endsWith('.zst') ? 'application/zstd' : 'application/x-tar',
      // File names are made of plain characters (fleet/carve-file-name.ts), so that they need no quoting rules.
      'content-disposition': `attachment; filename="${fileName}"`,
      'content-length': String(object.size),
      'x-content-type-options': 'nosniff',
    },
  })
}

async function erase(c: OperatorContext, row: CarveRow): Promise<Response> {
  // First what lies in R2 and in the session: as long as the row is there, deleting can be tried again.
  await (await sessionOf(c, row))?.erase()
  await deleteCarve(c.var.db, environmentChangeNote(c, 'carve.delete', row.id, { path: row.path }), row)
  return new Response(null, { status: 204 })
}
