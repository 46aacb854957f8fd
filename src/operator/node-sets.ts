/** /environments/{env}/node-sets: saved sets of nodes that targets may name. */

import { createRoute, z } from '@hono/zod-openapi'
import { layerUsesNodeSet } from '../db/configurations.ts'
import { isUniqueViolation } from '../db/control.ts'
import {
  countNodeSets,
  deleteNodeSet,
  findNodeSet,
  insertNodeSet,
  listNodeSets,
  membersOfNodeSet,
  replaceNodeSet,
  type NodeSetRow,
} from '../db/node-sets.ts'
import type { NodeSet } from '../fleet/node-set.ts'
import type { Targets } from '../fleet/targeting.ts'
import { rfc3339 } from '../lib/time.ts'
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
  time,
} from './describe.ts'
import { displayName } from './names.ts'
import { pageOf, pagingQuery, timeKey } from './paging.ts'
import { conflict, notFound, unprocessable } from './problem.ts'
import { publishEnvironment } from './publish.ts'
import { membersOf, nodesOf, targetsSchema, unresolved } from './targets.ts'

/** A million nodes are 125 KB a set. */
const MAX_NODE_SETS = 200

const nodeSetSchema = z
  .object({ id: z.string(), name: z.string(), createdAt: time, updatedAt: time })
  .openapi('NodeSet')
const nodeSetDetail = nodeSetSchema.extend({ nodes: z.int() }).openapi('NodeSetDetail')

const newBody = z.strictObject({ name: displayName, targets: targetsSchema })
const editBody = z
  .strictObject({ add: targetsSchema.optional(), remove: targetsSchema.optional() })
  .refine(({ add, remove }) => add !== undefined || remove !== undefined, 'needs add or remove')

const PATH = '/environments/{env}/node-sets'

export function addNodeSetRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: PATH,
      request: { params: inEnvironment, query: z.object(pagingQuery(timeKey)) },
      responses: repliesList(nodeSetSchema),
    }),
    async (c) => {
      const { cursor, limit } = c.req.valid('query')
      const rows = await listNodeSets(c.var.db, c.var.environment.id, cursor, limit + 1)
      const page = pageOf(rows, limit, (row) => [row.createdAtMs, row.id])
      return c.json({ items: page.rows.map(shown), nextCursor: page.nextCursor })
    },
  )
  routes.openapi(
    createRoute({
      method: 'post',
      path: PATH,
      request: { params: inEnvironment, body: jsonBody(newBody) },
      responses: replies(201, 'Saved: the nodes that the targets mean now', nodeSetDetail),
    }),
    async (c) => {
      const { name, targets } = c.req.valid('json')
      return create(c, name, targets)
    },
  )
  addOneNodeSetRoutes(routes)
}

function addOneNodeSetRoutes(routes: OperatorRoutes): void {
  const request = { params: inEnvironmentWithId }
  routes.openapi(
    createRoute({
      method: 'get',
      path: `${PATH}/{id}`,
      request,
      responses: replies(200, 'The set and its size', nodeSetDetail),
    }),
    async (c) => {
      const row = await nodeSetOfPath(c, c.req.valid('param').id)
      return row instanceof Response ? row : c.json(detailOf(row, await membersOfNodeSet(c.var.db, row.id)))
    },
  )
  routes.openapi(
    createRoute({
      method: 'patch',
      path: `${PATH}/{id}`,
      request: { ...request, body: jsonBody(editBody) },
      responses: replies(
        200,
        'The set with these nodes added, then those removed',
        nodeSetDetail.extend(published),
      ),
    }),
    async (c) => {
      const row = await nodeSetOfPath(c, c.req.valid('param').id)
      return row instanceof Response ? row : edit(c, row, c.req.valid('json'))
    },
  )
  routes.openapi(
    createRoute({
      method: 'delete',
      path: `${PATH}/{id}`,
      request,
      responses: repliesNothing('The name is free; queries that used it keep their nodes'),
    }),
    async (c) => {
      const row = await nodeSetOfPath(c, c.req.valid('param').id)
      if (row instanceof Response) return row
      if (await layerUsesNodeSet(c.var.db, row.environmentId, row.name))
        return conflict('', 'a layer of the configuration is for this node set')
      await deleteNodeSet(
        c.var.db,
        environmentChangeNote(c, 'node-set.delete', row.id, { name: row.name }),
        row.id,
      )
      return c.body(null, 204)
    },
  )
}

async function nodeSetOfPath(c: OperatorContext, id: string): Promise<NodeSetRow | Response> {
  return (await findNodeSet(c.var.db, c.var.environment.id, id)) ?? notFound('node set')
}

async function create(c: OperatorContext, name: string, targets: Targets): Promise<Response> {
  const members = await nodesOf(c, targets)
  if (!members.ok) return unresolved(members.reason)
  const environmentId = c.var.environment.id
  if ((await countNodeSets(c.var.db, environmentId)) >= MAX_NODE_SETS)
    return unprocessable({ pointer: '', detail: `there are ${MAX_NODE_SETS} node sets already` })
  const { nowMs } = c.var
  const row: NodeSetRow = {
    id: crypto.randomUUID(),
    environmentId,
    name,
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
  }
  const note = environmentChangeNote(c, 'node-set.create', row.id, { name, nodes: members.value.size })
  try {
    await insertNodeSet(c.var.db, note, row, members.value)
  } catch (error) {
    if (isUniqueViolation(error, 'node_sets.name'))
      return conflict('/name', 'is the name of another node set')
    throw error
  }
  return c.json(detailOf(row, members.value), 201)
}

async function edit(
  c: OperatorContext,
  row: NodeSetRow,
  { add, remove }: { add?: Targets | undefined; remove?: Targets | undefined },
): Promise<Response> {
  const members = await membersOfNodeSet(c.var.db, row.id)
  const before = members.size
  for (const [member, targets] of Object.entries({ add, remove })) {
    if (targets === undefined) continue
    const meant = await membersOf(c, targets)
    if (!meant.ok) return unresolved(meant.reason, `/${member}`)
    if (member === 'add') members.addAll(meant.value)
    else members.deleteAll(meant.value)
  }
  const detail = { name: row.name, before, nodes: members.size }
  const note = environmentChangeNote(c, 'node-set.edit', row.id, detail)
  const revision = await replaceNodeSet(c.var.db, note, row.id, members)
  const live = await publishEnvironment(c.env, row.environmentId, revision)
  return c.json({ ...detailOf({ ...row, updatedAtMs: c.var.nowMs }, members), revision, live })
}

function shown(row: NodeSetRow) {
  const { id, name, createdAtMs, updatedAtMs } = row
  return { id, name, createdAt: rfc3339(createdAtMs), updatedAt: rfc3339(updatedAtMs) }
}

function detailOf(row: NodeSetRow, members: NodeSet) {
  return { ...shown(row), nodes: members.size }
}
