/** /environments/{env}/nodes: what has enrolled. */

import { createRoute, z } from '@hono/zod-openapi'
import { mergedInto } from '../db/duplicates.ts'
import { deleteNode, findNode, listNodes, replaceTags, type NodeFilter, type NodeRow } from '../db/nodes.ts'
import { NODE_STATES } from '../fleet/standing.ts'
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
import { nodeDetail, nodeDetailSchema, nodeSchema, nodeViews, type NodeView } from './node-view.ts'
import { MAX_TAGS, tagName } from './names.ts'
import { lookupParameters, rangesOf } from './node-lookup.ts'
import { cursorOf, numberKey, pagingQuery } from './paging.ts'
import { notFound, problem } from './problem.ts'
import { deleted, publishEnvironment } from './publish.ts'

const MAX_FILTER_CHARACTERS = 256
/** Presence is not in D1, so that `online=` looks through rows: so many at a time, so many times for one page. */
const ROWS_AT_ONCE = 1_000
const MAX_LOOKS = 20

const tags = z.array(tagName).max(MAX_TAGS, `more than ${MAX_TAGS} tags`)
const tagsBody = z
  .preprocess((body) => (Array.isArray(body) ? { tags: body } : body), z.strictObject({ tags }))
  .openapi({ description: 'The bare list is accepted too' })

const nodesQuery = z.object({
  ...pagingQuery(numberKey),
  online: z.enum(['true', 'false'], 'is neither true nor false').optional(),
  platform: z.string().max(MAX_FILTER_CHARACTERS).optional(),
  q: z.string().max(MAX_FILTER_CHARACTERS).optional(),
  enrollSecret: z
    .string()
    .max(MAX_FILTER_CHARACTERS)
    .optional()
    .openapi({ description: 'Id of the secret that they enrolled with last' }),
  state: z
    .enum([...NODE_STATES, 'any'], `is none of ${NODE_STATES.join(', ')}, any`)
    .default('active')
    .openapi({
      description: 'Nodes that wait for approval, are archived or blocked are left out by default',
    }),
  ...lookupParameters,
})

const PATH = '/environments/{env}/nodes'

export function addNodeRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: PATH,
      request: { params: inEnvironment, query: nodesQuery },
      responses: repliesList(nodeSchema),
    }),
    async (c) => {
      const { enrollSecret, online, platform, q, state, cursor, limit, ...lookup } = c.req.valid('query')
      const seenWith = rangesOf(lookup)
      const filter: NodeFilter = {
        platform: platform || undefined,
        q: q?.trim() || undefined,
        enrollSecret: enrollSecret || undefined,
        seenWith,
        state: state === 'any' ? undefined : state,
      }
      const wanted = online === undefined ? null : online === 'true'
      return c.json(await nodePage(c, filter, wanted, cursor?.[0] ?? null, limit))
    },
  )
  addOneNodeRoutes(routes)
}

function addOneNodeRoutes(routes: OperatorRoutes): void {
  const request = { params: inEnvironmentWithId }
  routes.openapi(
    createRoute({
      method: 'get',
      path: `${PATH}/{id}`,
      request,
      responses: replies(200, 'The node', nodeDetailSchema),
    }),
    async (c) => {
      const row = await nodeOfPath(c, c.req.valid('param').id)
      return row instanceof Response ? row : c.json(await nodeDetail(c, row))
    },
  )
  routes.openapi(
    createRoute({
      method: 'put',
      path: `${PATH}/{id}/tags`,
      request: { ...request, body: jsonBody(tagsBody) },
      responses: replies(200, 'The node with its tags', nodeSchema.extend(published)),
    }),
    async (c) => {
      const row = await nodeOfPath(c, c.req.valid('param').id)
      return row instanceof Response ? row : putTags(c, row, c.req.valid('json').tags)
    },
  )
  routes.openapi(
    createRoute({
      method: 'delete',
      path: `${PATH}/{id}`,
      request,
      responses: repliesNothing('Its key is revoked; it may enroll anew, as a new node'),
    }),
    async (c) => {
      const row = await nodeOfPath(c, c.req.valid('param').id)
      return row instanceof Response ? row : remove(c, row)
    },
  )
}

async function nodeOfPath(c: OperatorContext, id: string): Promise<NodeRow | Response> {
  const { db, environment } = c.var
  const row = await findNode(db, environment.id, id)
  if (row !== null) return row
  const into = await mergedInto(db, environment.id, id)
  return into === null ? notFound('node') : problem(404, `The node was merged into ${into}.`)
}

/** A page; with `online` it may be short of its limit and still have a next one. */
async function nodePage(
  c: OperatorContext,
  filter: NodeFilter,
  online: boolean | null,
  from: number | null,
  limit: number,
): Promise<{ items: NodeView[]; nextCursor: string | null }> {
  const items: NodeView[] = []
  const atOnce = online === null ? limit : ROWS_AT_ONCE
  let below = from
  for (let look = 0; look < MAX_LOOKS; look += 1) {
    const rows = await listNodes(c.var.db, c.var.environment.id, filter, below, atOnce + 1)
    const views = await nodeViews(c, rows.slice(0, atOnce))
    for (const [index, view] of views.entries()) {
      if (online === null || view.online === online) items.push(view)
      below = rows[index]?.ordinal ?? below
      if (items.length === limit) {
        const more = index + 1 < rows.length
        return { items, nextCursor: more && below !== null ? cursorOf([below]) : null }
      }
    }
    if (rows.length <= atOnce) return { items, nextCursor: null }
  }
  return { items, nextCursor: below === null ? null : cursorOf([below]) }
}

async function putTags(c: OperatorContext, row: NodeRow, wanted: readonly string[]): Promise<Response> {
  const note = environmentChangeNote(c, 'node.tags', row.id, { tags: wanted })
  const revision = await replaceTags(c.var.db, note, row, [...new Set(wanted)])
  const live = await publishEnvironment(c.env, row.environmentId, revision)
  const [view] = await nodeViews(c, [row])
  return c.json({ ...view, revision, live })
}

async function remove(c: OperatorContext, row: NodeRow): Promise<Response> {
  const note = environmentChangeNote(c, 'node.delete', row.id, { hostname: row.hostname })
  const revision = await deleteNode(c.var.db, note, row)
  return deleted(revision, await publishEnvironment(c.env, row.environmentId, revision))
}
