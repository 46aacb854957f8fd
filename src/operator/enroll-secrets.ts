/** /environments/{env}/enroll-secrets: what lets an agent into an environment. */

import { createRoute, z } from '@hono/zod-openapi'
import { isUniqueViolation } from '../db/control.ts'
import {
  deleteEnrollSecret,
  insertEnrollSecret,
  listEnrollSecrets,
  type EnrollSecretRow,
} from '../db/enroll-secrets.ts'
import { randomText, sha256HexOfText } from '../lib/bytes.ts'
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
import { conflict, notFound } from './problem.ts'
import { deleted, publishDirectory } from './publish.ts'

const GENERATED_BYTES = 32
/** osqueryd reads the secret's file whole; real ones are shorter than this. */
const MAX_SECRET_CHARACTERS = 1_024

const secretBody = z.strictObject({
  name: displayName,
  // Trimmed, as agents' texts are at enroll: files end in a newline.
  secret: z
    .string()
    .trim()
    .min(1, 'must not be blank')
    .max(MAX_SECRET_CHARACTERS, `is longer than ${MAX_SECRET_CHARACTERS} characters`)
    .nullish(),
})
const secretSchema = z.object({ id: z.string(), name: z.string(), createdAt: time }).openapi('EnrollSecret')

const PATH = '/environments/{env}/enroll-secrets'

export function addEnrollSecretRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: PATH,
      request: { params: inEnvironment, query: z.object(pagingQuery(timeKey)) },
      responses: repliesList(secretSchema),
    }),
    async (c) => {
      const { cursor, limit } = c.req.valid('query')
      const rows = await listEnrollSecrets(c.var.db, c.var.environment.id, cursor, limit + 1)
      const page = pageOf(rows, limit, (row) => [row.createdAtMs, row.id])
      return c.json({ items: page.rows.map(shown), nextCursor: page.nextCursor })
    },
  )
  routes.openapi(
    createRoute({
      method: 'post',
      path: PATH,
      request: { params: inEnvironment, body: jsonBody(secretBody) },
      responses: replies(
        201,
        'Made; the secret is shown once',
        secretSchema.extend({ secret: z.string(), ...published }),
      ),
    }),
    async (c) => {
      const { name, secret } = c.req.valid('json')
      return createSecret(c, name, secret ?? randomText(GENERATED_BYTES))
    },
  )
  routes.openapi(
    createRoute({
      method: 'delete',
      path: `${PATH}/{id}`,
      request: { params: inEnvironmentWithId },
      responses: repliesNothing('No agent enrolls with it any more; nodes stay'),
    }),
    async (c) => deleteSecret(c, c.req.valid('param').id),
  )
}

async function createSecret(c: OperatorContext, name: string, secret: string): Promise<Response> {
  const row: EnrollSecretRow = {
    id: crypto.randomUUID(),
    environmentId: c.var.environment.id,
    name,
    secretHash: await sha256HexOfText(secret),
    createdAtMs: c.var.nowMs,
  }
  const note = environmentChangeNote(c, 'enroll-secret.create', row.id, { name })
  try {
    const revision = await insertEnrollSecret(c.var.db, note, row)
    const live = await publishDirectory(c.env, revision)
    return c.json({ ...shown(row), secret, revision, live }, 201)
  } catch (error) {
    if (isUniqueViolation(error, 'enroll_secrets.secret_hash')) {
      return conflict('/secret', 'exists already: one text names one environment')
    }
    throw error
  }
}

async function deleteSecret(c: OperatorContext, id: string): Promise<Response> {
  const note = environmentChangeNote(c, 'enroll-secret.delete', id)
  const revision = await deleteEnrollSecret(c.var.db, note, c.var.environment.id, id)
  if (revision === null) return notFound('enroll secret')
  return deleted(revision, await publishDirectory(c.env, revision))
}

function shown(row: EnrollSecretRow) {
  return { id: row.id, name: row.name, createdAt: rfc3339(row.createdAtMs) }
}
