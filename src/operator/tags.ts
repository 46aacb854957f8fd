/** /environments/{env}/tags: which there are, and tags for many nodes at once. */

import { createRoute, z } from '@hono/zod-openapi'
import { changeTags, countTags, nodesOverTagLimit, nodesToChange } from '../db/tags.ts'
import type { Targets } from '../fleet/targeting.ts'
import { environmentChangeNote } from './change-note.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironment, jsonBody, published, replies } from './describe.ts'
import { MAX_TAGS, tagName } from './names.ts'
import { unprocessable } from './problem.ts'
import { publishEnvironment } from './publish.ts'
import { nodesOf, targetsSchema, unresolved } from './targets.ts'

/** One D1 batch takes so many with room to spare (30 s a batch, D1 limits). */
const MAX_NODES = 200_000

const tagsBody = z
  .strictObject({
    targets: targetsSchema,
    add: z.array(tagName).max(MAX_TAGS, `more than ${MAX_TAGS} tags`).default([]),
    remove: z.array(tagName).max(MAX_TAGS, `more than ${MAX_TAGS} tags`).default([]),
  })
  .refine(({ add, remove }) => add.length + remove.length > 0, 'needs tags to add or to remove')
  .refine(({ add, remove }) => !add.some((tag) => remove.includes(tag)), {
    path: ['remove'],
    message: 'has a tag that is also to be added',
  })

const PATH = '/environments/{env}/tags'

export function addTagRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: PATH,
      request: { params: inEnvironment },
      responses: replies(
        200,
        'Every tag that a node has, by name',
        z.object({ items: z.array(z.object({ tag: z.string(), nodes: z.int() })) }),
      ),
    }),
    async (c) => c.json({ items: await countTags(c.var.db, c.var.environment.id) }),
  )
  routes.openapi(
    createRoute({
      method: 'post',
      path: PATH,
      request: { params: inEnvironment, body: jsonBody(tagsBody) },
      responses: replies(
        200,
        'Changed for all nodes that the targets mean now, or for none',
        z.object({
          nodes: z.int().openapi({ description: 'That the targets mean' }),
          changed: z.int().openapi({ description: 'Of these, those whose tags are others now' }),
          ...published,
        }),
      ),
    }),
    async (c) => change(c, c.req.valid('json')),
  )
}

async function change(
  c: OperatorContext,
  { targets, add, remove }: { targets: Targets; add: string[]; remove: string[] },
): Promise<Response> {
  const set = await nodesOf(c, targets)
  if (!set.ok) return unresolved(set.reason)
  const nodes = set.value.size
  if (nodes > MAX_NODES)
    return unprocessable({
      pointer: '/targets',
      detail: `means ${nodes} nodes, more than ${MAX_NODES} at once`,
    })
  const { db, environment } = c.var
  const changes = { add: [...new Set(add)], remove: [...new Set(remove)] }
  const over = await nodesOverTagLimit(db, environment.id, set.value, changes, MAX_TAGS)
  if (over > 0)
    return unprocessable({ pointer: '/add', detail: `would give ${over} nodes more than ${MAX_TAGS} tags` })
  const changed = await nodesToChange(db, environment.id, set.value, changes)
  if (changed === 0) return c.json({ nodes, changed, revision: environment.revision, live: true })
  const note = environmentChangeNote(c, 'tags.change', environment.id, {
    ...changes,
    targets,
    nodes,
    changed,
  })
  const revision = await changeTags(db, note, environment.id, set.value, changes)
  return c.json({ nodes, changed, revision, live: await publishEnvironment(c.env, environment.id, revision) })
}
