/** /environments/{env}/keys: the node keys of an environment, and revoking them. */

import { createRoute, z } from '@hono/zod-openapi'
import {
  countBySigningKey,
  deleteKeyRevocation,
  insertKeyRevocation,
  listKeyRevocations,
  TAKEN_BACK_WITHIN_S,
} from '../db/key-revocations.ts'
import { environmentChangeNote } from './change-note.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import {
  inEnvironment,
  inEnvironmentWithId,
  jsonBody,
  published,
  replies,
  repliesNothing,
} from './describe.ts'
import {
  guarded,
  overSeconds,
  planOf,
  planSchema,
  refusalOf,
  revocationSchema,
  rowOfPlan,
  shownPlan,
  shownRevocation,
} from './key-revocation.ts'
import { notFound, problem, unprocessable } from './problem.ts'
import { deleted, publishEnvironment } from './publish.ts'

const PATH = '/environments/{env}/keys'
/** Each is in the head, which every isolate reads; those that are a week old and covered by another are dropped. */
const MAX_REVOCATIONS = 50

const wantedBody = {
  issuedBefore: z.iso
    .datetime({ offset: true, error: 'is not a time of RFC 3339' })
    .optional()
    .openapi({ description: 'Default: now. Keys that are issued later count' }),
  overSeconds,
}
const previewBody = z.strictObject(wantedBody)
const revokeBody = z.strictObject({ ...wantedBody, ...guarded })

const keysSchema = z
  .object({
    bySigningKey: z.array(z.object({ signingKey: z.string().nullable(), nodes: z.int() })).openapi({
      description: 'Nodes by what signed their newest key; null: it is older than this is noted',
    }),
    revocations: z.array(revocationSchema),
  })
  .openapi('EnvironmentKeys')

export function addEnvironmentKeyRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: PATH,
      request: { params: inEnvironment },
      responses: replies(200, 'What the nodes hold, and what was revoked', keysSchema),
    }),
    async (c) => c.json(await shown(c)),
  )
  routes.openapi(
    createRoute({
      method: 'post',
      path: `${PATH}/revoke/preview`,
      request: { params: inEnvironment, body: jsonBody(previewBody) },
      responses: replies(200, 'What it would do now; nothing is revoked', planSchema),
    }),
    async (c) => {
      const wanted = wantedOf(c, c.req.valid('json'))
      return wanted instanceof Response ? wanted : c.json(shownPlan(await planOf(c, wanted)))
    },
  )
  routes.openapi(
    createRoute({
      method: 'post',
      path: `${PATH}/revoke`,
      request: { params: inEnvironment, body: jsonBody(revokeBody) },
      responses: replies(
        200,
        'Revoked: agents enroll anew by themselves, and stay the nodes that they are',
        planSchema.extend({ id: z.string(), ...published }),
      ),
    }),
    async (c) => revoke(c, c.req.valid('json')),
  )
  routes.openapi(
    createRoute({
      method: 'delete',
      path: `${PATH}/revocations/{id}`,
      request: { params: inEnvironmentWithId },
      responses: repliesNothing('Taken back: keys that were not replaced count again'),
    }),
    async (c) => takeBack(c, c.req.valid('param').id),
  )
}

function wantedOf(c: OperatorContext, { issuedBefore, overSeconds: pace }: z.infer<typeof previewBody>) {
  const issuedBeforeMs = issuedBefore === undefined ? c.var.nowMs : Date.parse(issuedBefore)
  // Else nodes would enroll again and again until then.
  if (issuedBeforeMs > c.var.nowMs)
    return unprocessable({ pointer: '/issuedBefore', detail: 'is still to come' })
  // To the end of that second: the keys of a second are revoked together.
  const issuedBeforeS = Math.ceil(issuedBeforeMs / 1_000)
  return { environmentId: c.var.environment.id, issuedBeforeS, overSeconds: pace }
}

async function revoke(c: OperatorContext, body: z.infer<typeof revokeBody>): Promise<Response> {
  const wanted = wantedOf(c, body)
  if (wanted instanceof Response) return wanted
  if ((await listKeyRevocations(c.var.db, wanted.environmentId)).length >= MAX_REVOCATIONS)
    return problem(
      409,
      `There are ${MAX_REVOCATIONS} revocations that may be taken back still: no more are kept.`,
    )
  const plan = await planOf(c, wanted)
  const refusal = refusalOf(plan, body)
  if (refusal !== null) return refusal
  const row = rowOfPlan(c, plan)
  const { issuedBefore, nodes, overSeconds: pace, lockedOut } = shownPlan(plan)
  const detail = { id: row.id, issuedBefore, nodes, overSeconds: pace, lockedOut }
  const note = environmentChangeNote(c, 'keys.revoke', wanted.environmentId, detail)
  const revision = await insertKeyRevocation(c.var.db, note, row, plan.fromS)
  const live = await publishEnvironment(c.env, wanted.environmentId, revision)
  return c.json({ ...shownPlan(plan), id: row.id, revision, live })
}

async function takeBack(c: OperatorContext, id: string): Promise<Response> {
  const { db, environment, nowMs } = c.var
  const row = (await listKeyRevocations(db, environment.id)).find((one) => one.id === id)
  if (row === undefined) return notFound('revocation')
  if (row.fromS + row.overS + TAKEN_BACK_WITHIN_S < nowMs / 1_000)
    return problem(409, 'It is too long ago: what was revoked by then stays revoked.')
  const note = environmentChangeNote(c, 'keys.revocation.delete', environment.id, { id })
  const revision = await deleteKeyRevocation(db, note, row)
  return deleted(revision, await publishEnvironment(c.env, environment.id, revision))
}

async function shown(c: OperatorContext): Promise<z.infer<typeof keysSchema>> {
  const { db, environment } = c.var
  const counts = await countBySigningKey(db, environment.id)
  const rows = await listKeyRevocations(db, environment.id)
  return {
    bySigningKey: counts.map(({ keyId, nodes }) => ({
      signingKey: keyId === null ? null : `k${keyId}`,
      nodes,
    })),
    revocations: await Promise.all(rows.map((row) => shownRevocation(c, row))),
  }
}
