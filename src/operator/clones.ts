/** /environments/{env}/clones: machines that turned out to share a node, what was done, and how to undo it. */

import { createRoute, z } from '@hono/zod-openapi'
import { CLONE_STATES, clonesOf, findClone, joinClones, listClones, type CloneRow } from '../db/clone-list.ts'
import { rfc3339, rfc3339OrNull } from '../lib/time.ts'
import { environmentChangeNote } from './change-note.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironment, inEnvironmentWithId, published, replies, repliesList, time } from './describe.ts'
import { numberKey, pageOf, pagingQuery } from './paging.ts'
import { conflict, notFound } from './problem.ts'
import { publishEnvironment } from './publish.ts'

const PATH = '/environments/{env}/clones'

const state = z.enum(CLONE_STATES, `is none of ${CLONE_STATES.join(', ')}`)
const cloneSchema = z
  .object({
    id: z.string().openapi({ description: 'The node' }),
    hostname: z.string(),
    state: state.openapi({
      description:
        'suspected: another instance id enrolled, which a lost database does too; flagged: several machines use it; ' +
        'split: each has a node of its own; joined: an operator said that they are one',
    }),
    cloneOf: z.string().nullable().openapi({ description: 'The node that it was split from' }),
    identity: z.string(),
    instanceId: z.string(),
    hostIdentifier: z.string(),
    splitBy: z.enum(['instance', 'host']).nullable().openapi({
      description:
        'What tells machines of this identity apart: their instance id, or that and their host identifier',
    }),
    evidence: z.record(z.string(), z.unknown()).nullable(),
    suspectedAt: time.nullable(),
    foundAt: time.nullable(),
    enrolledAt: time,
    enrollCount: z.int(),
    dampedEnrolls: z.int().openapi({ description: 'Beside those: answered without asking D1' }),
  })
  .openapi('Clone')

export function addCloneRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: PATH,
      request: {
        params: inEnvironment,
        query: z.object({ ...pagingQuery(numberKey), state: state.optional() }),
      },
      responses: repliesList(cloneSchema),
    }),
    async (c) => {
      const { cursor, limit, state: wanted = null } = c.req.valid('query')
      const rows = await listClones(c.var.db, c.var.environment.id, wanted, cursor?.[0] ?? null, limit + 1)
      const page = pageOf(rows, limit, (row) => [row.ordinal])
      return c.json({ items: page.rows.map(shown), nextCursor: page.nextCursor })
    },
  )
  routes.openapi(
    createRoute({
      method: 'post',
      path: `${PATH}/{id}/join`,
      description:
        'Says that the machines of a node are one: what was split from it is this node again when it enrolls, which it ' +
        'is told to do at once. History stays where it is, tags become the node\u2019s. It is not split again.',
      request: { params: inEnvironmentWithId },
      responses: replies(
        200,
        'Joined',
        cloneSchema.extend({
          ...published,
          joined: z.array(z.string()).openapi({ description: 'Nodes that are it' }),
        }),
      ),
    }),
    async (c) => join(c, c.req.valid('param').id),
  )
}

async function join(c: OperatorContext, id: string): Promise<Response> {
  const { db, environment } = c.var
  const row = await findClone(db, environment.id, id)
  if (row === null) return notFound('clone')
  const original = row.cloneOf === null ? null : await findClone(db, environment.id, row.cloneOf)
  if (original !== null) return conflict('id', `was split from ${original.id}: join that one`)
  const joined = (await clonesOf(db, environment.id, id)).map((clone) => clone.id)
  const note = environmentChangeNote(c, 'node.join-clones', id, { hostname: row.hostname, joined })
  const revision = await joinClones(db, note, environment.id, id)
  const live = await publishEnvironment(c.env, environment.id, revision)
  const after = (await findClone(db, environment.id, id)) ?? row
  return c.json({ ...shown(after), joined, revision, live })
}

function shown(row: CloneRow) {
  const {
    ordinal: _ordinal,
    clones,
    clonesEvidence,
    clonesFoundAtMs,
    cloneSuspectedAtMs,
    enrolledAtMs,
    ...rest
  } = row
  return {
    ...rest,
    state: clones ?? 'suspected',
    evidence: clonesEvidence === null ? null : (JSON.parse(clonesEvidence) as Record<string, unknown>),
    suspectedAt: rfc3339OrNull(cloneSuspectedAtMs),
    foundAt: rfc3339OrNull(clonesFoundAtMs),
    enrolledAt: rfc3339(enrolledAtMs),
  }
}
