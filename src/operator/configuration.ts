/** /environments/{env}/configuration: the base document, which agents get where no layer says something else. */

import { createRoute, z } from '@hono/zod-openapi'
import { stableConfiguration } from '../db/configurations.ts'
import type { OperatorRoutes } from './context.ts'
import { inEnvironment, published, replies } from './describe.ts'
import { storeVersion } from './store-version.ts'

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

/** Takes back the rollout that is under way, which else stands in the way. */
export const superseding = z
  .enum(['true', 'false'])
  .optional()
  .transform((text) => text === 'true')

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
      const row = await stableConfiguration(c.var.db, c.var.environment.id)
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
        query: z.object({ message: versionMessage.optional(), supersede: superseding }),
        body: { required: true, content: { 'application/json': { schema: document } } },
      },
      responses: replies(200, 'Stored', storedSchema),
    }),
    async (c) => {
      const document = await c.req.text()
      const { message, supersede } = c.req.valid('query')
      return storeVersion(c, message ?? '', (present) => ({ ...present, document }), { supersede })
    },
  )
}
