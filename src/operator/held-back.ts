/** POST /environments/{env}/publish: lets out what the safety check holds back. */

import { createRoute, z } from '@hono/zod-openapi'
import { commitChange } from '../db/control.ts'
import { Deadline } from '../lib/deadline.ts'
import { rfc3339 } from '../lib/time.ts'
import type { HeldBackSnapshot } from '../snapshot/held-back.ts'
import type { UnsafeReason } from '../snapshot/safety.ts'
import { environmentChangeNote } from './change-note.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironment, jsonBody, published, replies, time } from './describe.ts'
import { conflict } from './problem.ts'

/** An object that does not say in this time is an outage. */
const STATE_WITHIN_MS = 3_000
/** A whole environment is compiled meanwhile. */
const PUBLISH_WITHIN_MS = 15_000

export const heldBackSchema = z
  .object({
    revision: z.int().openapi({ description: 'The revision that is not published' }),
    reason: z.enum(['mass-revocation', 'emptied']),
    detail: z.string(),
    nodes: z
      .int()
      .openapi({ description: 'Nodes that it would revoke, or whose configuration it would empty' }),
    ofNodes: z.int().openapi({ description: 'Nodes that the environment has had' }),
    since: time,
  })
  .openapi('HeldBack')

const publishBody = z.strictObject({
  force: z.literal(true, 'must be true'),
  revision: z.int('is not a whole number').openapi({ description: 'The revision that was looked at' }),
})

export function addHeldBackRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'post',
      path: '/environments/{env}/publish',
      description:
        'A snapshot that would revoke more than a fifth of the nodes, or take every scheduled query from all of them, is ' +
        'not published by itself. `GET /environments/{env}` shows it.',
      request: { params: inEnvironment, body: jsonBody(publishBody) },
      responses: replies(200, 'It is on its way to the agents', z.object(published)),
    }),
    async (c) => publish(c, c.req.valid('json').revision),
  )
}

async function publish(c: OperatorContext, revision: number): Promise<Response> {
  const { db, environment } = c.var
  const object = c.env.ENVIRONMENT.getByName(environment.id)
  const held = await new Deadline(STATE_WITHIN_MS).run(object.heldBack())
  if (held === null) return conflict('/force', 'nothing is held back')
  if (held.revision !== revision)
    return conflict('/revision', `revision ${held.revision} is held back: ${detailOf(held.reason)}`)
  // The audit row first: nothing is forced that nobody is known to have asked for.
  const note = environmentChangeNote(c, 'environment.publish', environment.id, { revision, ...held.reason })
  await commitChange(db, note, 'none', [])
  const result = await new Deadline(PUBLISH_WITHIN_MS).run(object.refresh(revision, 'this-one'))
  if (result.revision < revision)
    return conflict('/revision', 'the environment was changed since: look again')
  return c.json({ revision: result.revision, live: true })
}

/** What is held back now; null: nothing. Throws where the object does not answer. */
export async function heldBackOf(c: OperatorContext): Promise<z.infer<typeof heldBackSchema> | null> {
  const object = c.env.ENVIRONMENT.getByName(c.var.environment.id)
  const held = await new Deadline(STATE_WITHIN_MS).run(object.heldBack())
  return held === null ? null : shown(held)
}

function shown({ revision, reason, sinceMs }: HeldBackSnapshot): z.infer<typeof heldBackSchema> {
  return {
    revision,
    reason: reason.kind,
    detail: detailOf(reason),
    nodes: reason.kind === 'emptied' ? reason.nodeCount : reason.newlyRevoked,
    ofNodes: reason.nodeCount,
    since: rfc3339(sinceMs),
  }
}

function detailOf(reason: UnsafeReason): string {
  return reason.kind === 'emptied'
    ? `it would take all ${reason.scheduledBefore} scheduled queries from ${reason.nodeCount} nodes`
    : `it would revoke ${reason.newlyRevoked} of ${reason.nodeCount} nodes`
}
