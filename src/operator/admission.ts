/** /environments/{env}/admission: whether new nodes wait for approval, and when unseen ones are archived; approving. */

import { createRoute, z } from '@hono/zod-openapi'
import { approveNodes, countStates, updateAdmission } from '../db/admission.ts'
import { blockNodes } from '../db/blocks.ts'
import type { NodeSet } from '../fleet/node-set.ts'
import type { Targets } from '../fleet/targeting.ts'
import { environmentChangeNote } from './change-note.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironment, jsonBody, published, replies } from './describe.ts'
import { unprocessable } from './problem.ts'
import { publishDirectory, publishEnvironment } from './publish.ts'
import { reasonText } from './names.ts'
import { nodesInState, targetsSchema, unresolved } from './targets.ts'

const MAX_ARCHIVE_DAYS = 3_650

const admission = {
  approval: z.boolean().openapi({ description: 'Nodes that are new wait until an operator approves them' }),
  archiveAfterDays: z
    .int('is not a whole number')
    .min(0, 'is less than 0')
    .max(MAX_ARCHIVE_DAYS, `is more than ${MAX_ARCHIVE_DAYS}`)
    .openapi({ description: 'Nodes that were not seen for so many days are archived; 0: none ever' }),
}
const states = z.object({ active: z.int(), pending: z.int(), archived: z.int(), blocked: z.int() })
const admissionSchema = z.object({ ...admission, nodes: states }).openapi('Admission')

const changeBody = z
  .strictObject({
    approval: admission.approval.optional(),
    archiveAfterDays: admission.archiveAfterDays.optional(),
  })
  .refine((body) => Object.keys(body).length > 0, 'needs approval or archiveAfterDays')
const meant = {
  targets: targetsSchema,
  maxNodes: z.int('is not a whole number').min(1, 'is less than 1').optional().openapi({
    description: 'Nothing is decided where the targets mean more: others may have come meanwhile',
  }),
}
const approveBody = z.strictObject(meant)
const denyBody = z.strictObject({ ...meant, reason: reasonText })

const decided = z.object({ nodes: z.int(), ...published })
const PATH = '/environments/{env}/admission'

export function addAdmissionRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: PATH,
      request: { params: inEnvironment },
      responses: replies(200, 'How it is set, and how many nodes are in each state', admissionSchema),
    }),
    async (c) => c.json(await shown(c, c.var.environment)),
  )
  routes.openapi(
    createRoute({
      method: 'patch',
      path: PATH,
      request: { params: inEnvironment, body: jsonBody(changeBody) },
      responses: replies(
        200,
        'Set; nodes that wait or are archived already stay so',
        admissionSchema.extend(published),
      ),
    }),
    async (c) => change(c, c.req.valid('json')),
  )
  routes.openapi(
    createRoute({
      method: 'post',
      path: '/environments/{env}/nodes/approve',
      request: { params: inEnvironment, body: jsonBody(approveBody) },
      responses: replies(200, 'Of the pending nodes all that the targets mean get in', decided),
    }),
    async (c) => {
      const set = await pendingNodes(c, c.req.valid('json'))
      return set instanceof Response ? set : approve(c, set)
    },
  )
  routes.openapi(
    createRoute({
      method: 'post',
      path: '/environments/{env}/nodes/deny',
      request: { params: inEnvironment, body: jsonBody(denyBody) },
      responses: replies(200, 'Of the pending nodes all that the targets mean are blocked', decided),
    }),
    async (c) => {
      const body = c.req.valid('json')
      const set = await pendingNodes(c, body)
      return set instanceof Response ? set : deny(c, set, body.reason)
    },
  )
}

async function pendingNodes(
  c: OperatorContext,
  { targets, maxNodes }: { targets: Targets; maxNodes?: number | undefined },
): Promise<NodeSet | Response> {
  const set = await nodesInState(c, targets, 'pending')
  if (!set.ok) return unresolved(set.reason)
  const nodes = set.value.size
  if (maxNodes === undefined || nodes <= maxNodes) return set.value
  return unprocessable({
    pointer: '/targets',
    detail: `mean ${nodes} nodes, more than maxNodes (${maxNodes})`,
  })
}

async function approve(c: OperatorContext, set: NodeSet): Promise<Response> {
  const { db, environment } = c.var
  const note = environmentChangeNote(c, 'nodes.approve', environment.id, detailOf(set))
  const revision = await approveNodes(db, note, environment.id, set)
  return c.json({
    nodes: set.size,
    revision,
    live: await publishEnvironment(c.env, environment.id, revision),
  })
}

async function deny(c: OperatorContext, set: NodeSet, reason: string): Promise<Response> {
  const { db, environment } = c.var
  const note = environmentChangeNote(c, 'nodes.deny', environment.id, { ...detailOf(set), reason })
  const revision = await blockNodes(db, note, environment.id, set, reason)
  return c.json({
    nodes: set.size,
    revision,
    live: await publishEnvironment(c.env, environment.id, revision),
  })
}

/** Which nodes, as far as an audit row has room. */
function detailOf(set: NodeSet): Record<string, unknown> {
  return { nodes: set.size, ordinals: [...set].slice(0, 1_000) }
}

async function change(c: OperatorContext, wanted: z.infer<typeof changeBody>): Promise<Response> {
  const { db, environment } = c.var
  const after = {
    approval: wanted.approval ?? environment.approval,
    archiveAfterDays: wanted.archiveAfterDays ?? environment.archiveAfterDays,
  }
  const note = environmentChangeNote(c, 'admission.set', environment.id, after)
  const revision = await updateAdmission(db, note, environment.id, after)
  return c.json({ ...(await shown(c, after)), revision, live: await publishDirectory(c.env, revision) })
}

async function shown(
  c: OperatorContext,
  { approval, archiveAfterDays }: { approval: boolean; archiveAfterDays: number },
): Promise<z.infer<typeof admissionSchema>> {
  return { approval, archiveAfterDays, nodes: await countStates(c.var.db, c.var.environment.id) }
}
