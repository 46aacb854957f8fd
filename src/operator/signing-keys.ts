/** /signing-keys: what signs node keys, query ids and carve sessions. Ids and fingerprints; the keys are a secret. */

import { createRoute, z } from '@hono/zod-openapi'
import { presentKeys } from '../agent/key-fingerprints.ts'
import {
  deleteKeyRevocation,
  environmentRevisions,
  insertKeyRevocation,
  listKeyRevocations,
  TAKEN_BACK_WITHIN_S,
} from '../db/key-revocations.ts'
import { changeNote } from './change-note.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { jsonBody, published, replies, repliesNothing } from './describe.ts'
import {
  guarded,
  overSeconds,
  planOf,
  planSchema,
  refusalOf,
  rowOfPlan,
  shownPlan,
} from './key-revocation.ts'
import { notFound, problem } from './problem.ts'
import { deleted, publishDirectory, publishEnvironment } from './publish.ts'
import { shownKeys, signingKeysSchema } from './signing-key-view.ts'

/** With more environments, those beyond hear of it from their alarm within five minutes. */
const MAX_PUBLISHED = 100

const PATH = '/signing-keys'
const inKey = z.object({ id: z.string().openapi({ description: 'k0 to k255' }) })
const previewBody = z.strictObject({ overSeconds })
const revokeBody = z.strictObject({ overSeconds, ...guarded })

export function addSigningKeyRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: PATH,
      responses: replies(200, 'All that were ever in use', signingKeysSchema),
    }),
    async (c) => c.json(await shownKeys(c)),
  )
  routes.openapi(
    createRoute({
      method: 'post',
      path: `${PATH}/{id}/revoke/preview`,
      request: { params: inKey, body: jsonBody(previewBody) },
      responses: replies(200, 'What it would do now; nothing is revoked', planSchema),
    }),
    async (c) => {
      const known = await revocableKey(c, c.req.valid('param').id)
      if (known instanceof Response) return known
      return c.json(shownPlan(await planOf(c, wantedOf(c, known, c.req.valid('json').overSeconds))))
    },
  )
  routes.openapi(
    createRoute({
      method: 'post',
      path: `${PATH}/{id}/revoke`,
      request: { params: inKey, body: jsonBody(revokeBody) },
      responses: replies(
        200,
        'Every node key under it is revoked, in all environments: agents enroll anew, under the current key',
        planSchema.extend({ id: z.string(), ...published }),
      ),
    }),
    async (c) => revoke(c, c.req.valid('param').id, c.req.valid('json')),
  )
  routes.openapi(
    createRoute({
      method: 'delete',
      path: `${PATH}/{id}/revocation`,
      request: { params: inKey },
      responses: repliesNothing('Taken back: keys that were not replaced count again'),
    }),
    async (c) => takeBack(c, c.req.valid('param').id),
  )
}

function wantedOf(c: OperatorContext, id: number, pace: number | undefined) {
  const issuedBeforeS = Math.ceil(c.var.nowMs / 1_000)
  return { environmentId: null, keyId: id, issuedBeforeS, overSeconds: pace }
}

/** The number of a key that may be revoked. */
async function revocableKey(c: OperatorContext, name: string): Promise<number | Response> {
  const { items } = await shownKeys(c)
  const key = items.find(({ id }) => id === name)
  if (key === undefined) return notFound('signing key')
  if (key.current) return problem(409, 'It is the current key: switch to another first.')
  if (key.revocation !== null) return problem(409, 'Its node keys were revoked already.')
  return numberOf(name)
}

async function revoke(c: OperatorContext, name: string, body: z.infer<typeof revokeBody>): Promise<Response> {
  const known = await revocableKey(c, name)
  if (known instanceof Response) return known
  const plan = await planOf(c, wantedOf(c, known, body.overSeconds))
  const refusal = refusalOf(plan, body)
  if (refusal !== null) return refusal
  const row = rowOfPlan(c, plan)
  const { nodes, overSeconds: pace, lockedOut } = shownPlan(plan)
  const note = changeNote(c, 'signing-key.revoke', name, { nodes, overSeconds: pace, lockedOut })
  const revision = await insertKeyRevocation(c.var.db, note, row, plan.fromS)
  return c.json({ ...shownPlan(plan), id: row.id, revision, live: await publishEverywhere(c, revision) })
}

async function takeBack(c: OperatorContext, name: string): Promise<Response> {
  const row = (await listKeyRevocations(c.var.db, null)).find((one) => one.keyId === numberOf(name))
  if (row === undefined) return notFound('revocation')
  if (row.fromS + row.overS + TAKEN_BACK_WITHIN_S < c.var.nowMs / 1_000)
    return problem(409, 'It is too long ago: what was revoked by then stays revoked.')
  const present = await presentKeys(c.env.SIGNING_KEYS)
  if (!present.some((key) => key.keyId === row.keyId))
    return problem(409, 'The key is not in the secret any more: its nodes would be told `retry` for ever.')
  const revision = await deleteKeyRevocation(
    c.var.db,
    changeNote(c, 'signing-key.revocation.delete', name),
    row,
  )
  return deleted(revision, await publishEverywhere(c, revision))
}

async function publishEverywhere(c: OperatorContext, revision: number): Promise<boolean> {
  const environments = await environmentRevisions(c.var.db)
  const live = await Promise.all([
    publishDirectory(c.env, revision),
    ...environments
      .slice(0, MAX_PUBLISHED)
      .map(({ id, revision: own }) => publishEnvironment(c.env, id, own)),
  ])
  return live.every(Boolean) && environments.length <= MAX_PUBLISHED
}

function numberOf(name: string): number {
  return Number(name.slice(1))
}
