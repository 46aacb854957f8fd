/** Nodes that may be one machine, and making one node of two. */

import { createRoute, z } from '@hono/zod-openapi'
import {
  countUnitedTags,
  DUPLICATE_KEYS,
  duplicateValues,
  findMergeable,
  mergeNode,
  nodesWithValues,
  type DuplicateKey,
} from '../db/duplicates.ts'
import { findNode } from '../db/nodes.ts'
import {
  BUILT_IN_SERIALS,
  BUILT_IN_UUIDS,
  policyOf,
  type StoredIdentityPolicy,
} from '../fleet/identity-policy.ts'
import { isUuid } from '../lib/bytes.ts'
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
  time,
} from './describe.ts'
import { MAX_TAGS } from './names.ts'
import { nodeDetail, nodeDetailSchema } from './node-view.ts'
import { idKey, pageOf, pagingQuery } from './paging.ts'
import { conflict, notFound, unprocessable } from './problem.ts'
import { publishEnvironment } from './publish.ts'

const duplicatesQuery = z.object({
  ...pagingQuery(idKey),
  by: z.enum(DUPLICATE_KEYS, `is none of ${DUPLICATE_KEYS.join(', ')}`).default('serial'),
})
const mergeBody = z.strictObject({ into: z.string().refine(isUuid, 'is not the id of a node') })

const groupSchema = z
  .object({
    value: z.string(),
    nodes: z.array(
      z.object({
        id: z.string(),
        hostname: z.string(),
        identity: z.string(),
        hardwareSerial: z.string(),
        hardwareUuid: z.string(),
        enrolledAt: time,
      }),
    ),
  })
  .openapi('DuplicateNodes')

export function addDuplicateRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/environments/{env}/duplicates',
      description:
        'By value, ascending. Machines that were split as clones are different ones, and not here.',
      request: { params: inEnvironment, query: duplicatesQuery },
      responses: repliesList(groupSchema),
    }),
    async (c) => {
      const { by, cursor, limit } = c.req.valid('query')
      return c.json(await groups(c, by, cursor?.[0] ?? null, limit))
    },
  )
  routes.openapi(
    createRoute({
      method: 'post',
      path: '/environments/{env}/nodes/{id}/merge',
      request: { params: inEnvironmentWithId, body: jsonBody(mergeBody) },
      responses: replies(
        200,
        'It is a part of the other: its agent enrolls anew, as the other; its history keeps its id',
        nodeDetailSchema.extend(published),
      ),
    }),
    async (c) => merge(c, c.req.valid('param').id, c.req.valid('json').into.toLowerCase()),
  )
}

async function groups(c: OperatorContext, by: DuplicateKey, after: string | null, limit: number) {
  const { db, environment } = c.var
  const options = { placeholders: placeholdersOf(by, environment.identityPolicy), after, limit: limit + 1 }
  const values = await duplicateValues(db, environment.id, by, options)
  const page = pageOf(values, limit, ({ value }) => [value])
  const found = await nodesWithValues(
    db,
    environment.id,
    by,
    page.rows.map(({ value }) => value),
  )
  const members = Map.groupBy(found, ({ value }) => value)
  const items = page.rows.map(({ value }) => ({
    value,
    nodes: (members.get(value) ?? []).map(
      ({ id, hostname, identity, hardwareSerial, hardwareUuid, enrolledAtMs }) => ({
        id,
        hostname,
        identity,
        hardwareSerial,
        hardwareUuid,
        enrolledAt: rfc3339(enrolledAtMs),
      }),
    ),
  }))
  return { items, nextCursor: page.nextCursor }
}

/** Values that many machines have: the same as enroll passes over. */
function placeholdersOf(by: DuplicateKey, stored: string): string[] {
  const policy = policyOf(JSON.parse(stored) as StoredIdentityPolicy)
  if (by === 'hostname') return []
  return by === 'uuid'
    ? [...BUILT_IN_UUIDS, ...policy.placeholderUuids]
    : [...BUILT_IN_SERIALS, ...policy.placeholderSerials]
}

async function merge(c: OperatorContext, id: string, into: string): Promise<Response> {
  const { db, environment } = c.var
  const from = await findMergeable(db, environment.id, id)
  if (from === null)
    return (await findNode(db, environment.id, id)) === null
      ? notFound('node')
      : conflict('', 'the node waits for approval or is blocked')
  if (id === into) return unprocessable({ pointer: '/into', detail: 'is the node itself' })
  const other = await findMergeable(db, environment.id, into)
  if (other === null) return unprocessable({ pointer: '/into', detail: 'is no node that is in use here' })
  // Else its machine would be told apart again as soon as it enrolls.
  if (from.cloneOf === into || other.cloneOf === id)
    return conflict('/into', 'they were split as clones: POST …/clones/{id}/join makes them one')
  const tags = await countUnitedTags(db, environment.id, [id, into])
  if (tags > MAX_TAGS)
    return unprocessable({ pointer: '/into', detail: `would have ${tags} tags, more than ${MAX_TAGS}` })
  const note = environmentChangeNote(c, 'node.merge', id, {
    into,
    identity: from.identity,
    hostname: from.hostname,
  })
  const revision = await mergeNode(db, note, environment.id, { from, into })
  const live = await publishEnvironment(c.env, environment.id, revision)
  const row = await findNode(db, environment.id, into)
  return row === null ? notFound('node') : c.json({ ...(await nodeDetail(c, row)), revision, live })
}
