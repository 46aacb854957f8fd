/** /environments/{env}/configuration: the document that agents get. */

import { createRoute, z } from '@hono/zod-openapi'
import { checkConfiguration, type CheckedDocument } from '../config/validate.ts'
import { insertConfiguration, latestConfiguration } from '../db/configurations.ts'
import { sha256HexOfText } from '../lib/bytes.ts'
import { environmentChangeNote } from './change-note.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironment, published, replies } from './describe.ts'
import { problem, unprocessable } from './problem.ts'
import { publishEnvironment } from './publish.ts'

const document = { type: 'object', description: 'A whole osquery configuration' } as const
export const storedSchema = z
  .object({
    version: z.int(),
    ...published,
    sha256: z.string(),
    bytes: z.int(),
    warnings: z.array(z.object({ pointer: z.string(), detail: z.string() })),
  })
  .openapi('StoredConfiguration')

const MAX_MESSAGE_CHARACTERS = 1_000
/** What an operator says about a version. */
export const versionMessage = z
  .string()
  .trim()
  .max(MAX_MESSAGE_CHARACTERS, `is longer than ${MAX_MESSAGE_CHARACTERS} characters`)

const PATH = '/environments/{env}/configuration'

export function addConfigurationRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: PATH,
      request: { params: inEnvironment },
      responses: replies(
        200,
        'The document as it is stored; its version is in x-configuration-version',
        z.record(z.string(), z.unknown()),
      ),
    }),
    async (c) => {
      const row = await latestConfiguration(c.var.db, c.var.environment.id)
      return c.body(row.document, 200, {
        'content-type': 'application/json',
        'x-configuration-version': String(row.version),
        'x-configuration-sha256': row.sha256,
      })
    },
  )
  routes.openapi(
    createRoute({
      method: 'put',
      path: PATH,
      // No schema that would parse it: the document's text is what counts, and its faults are found by src/config.
      request: {
        params: inEnvironment,
        query: z.object({ message: versionMessage.optional() }),
        body: { required: true, content: { 'application/json': { schema: document } } },
      },
      responses: replies(200, 'Stored', storedSchema),
    }),
    async (c) => storeConfiguration(c, await c.req.text(), c.req.valid('query').message ?? ''),
  )
}

/** Checks a document's text and makes a version of it. */
export async function storeConfiguration(
  c: OperatorContext,
  text: string,
  message: string,
): Promise<Response> {
  const checked = checkConfiguration(text)
  if (checked.ok) return store(c, checked.value, message)
  return checked.reason.kind === 'not-json'
    ? problem(400, 'The body is not JSON.')
    : unprocessable(...checked.reason.errors)
}

/** The same document again is the same version: nothing new to fetch for agents, nothing to audit. */
async function store(c: OperatorContext, checked: CheckedDocument, message: string): Promise<Response> {
  const { compact, bytes, warnings } = checked
  const environmentId = c.var.environment.id
  const sha256 = await sha256HexOfText(compact)
  const present = await latestConfiguration(c.var.db, environmentId)
  const stored =
    present.sha256 === sha256
      ? { version: present.version, revision: c.var.environment.revision }
      : await insertConfiguration(
          c.var.db,
          environmentChangeNote(c, 'configuration.put', environmentId, { sha256, bytes, message }),
          { environmentId, document: compact, sha256, message },
        )
  const live = await publishEnvironment(c.env, environmentId, stored.revision)
  return c.json({ ...stored, live, sha256, bytes, warnings })
}
