/** /environments/{env}/flagfile: what an osqueryd must know before it has a configuration. */

import { createRoute, z } from '@hono/zod-openapi'
import { servedDocument } from '../config/served.ts'
import { mergeLayers } from '../config/merge.ts'
import { layersOfVersion, stableConfiguration } from '../db/configurations.ts'
import { isFlagText, osqueryFlags, type FlagValue } from '../fleet/flagfile.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironment, repliesText } from './describe.ts'

/** Where osquery's own packages keep their things. */
const FOLDERS = {
  linux: '/etc/osquery/',
  darwin: '/var/osquery/',
  windows: 'C:\\Program Files\\osquery\\',
  freebsd: '/usr/local/etc/osquery/',
} as const
/** The plan's own (design 5); a configuration's options replace them as soon as an agent has it. */
const CONFIG_REFRESH_S = 300
const LOGGER_PERIOD_S = 300
const DISTRIBUTED_INTERVAL_S = 60

const path = z.string().min(1).max(1_024).refine(isFlagText, 'must not hold control characters')
const flagfileQuery = z.object({
  platform: z
    .enum(['linux', 'darwin', 'windows', 'freebsd'])
    .default('linux')
    .openapi({ description: 'Whose layers and paths' }),
  hostname: z
    .string()
    // A scheme would be taken for the name to resolve (spec 8, 40).
    .regex(
      /^(?!.*:\/\/)[A-Za-z0-9.[\]:/_-]{1,255}$/,
      'must be a host name or address, with an optional port, without a scheme',
    )
    .optional()
    .openapi({ description: 'Where agents go; else the host that was asked' }),
  secretPath: path.optional().openapi({ description: 'Of the file with the enroll secret' }),
  certificates: path
    .optional()
    .openapi({ description: 'Of the authorities to trust; else those of osquery' }),
})

export function addFlagfileRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/environments/{env}/flagfile',
      description:
        'Options of the configuration that agents take from the command line only are in it, and in no document.',
      request: { params: inEnvironment, query: flagfileQuery },
      responses: repliesText('One flag a line'),
    }),
    async (c) => {
      const { platform, hostname, secretPath, certificates } = c.req.valid('query')
      const text = osqueryFlags({
        tlsHostname: hostname ?? new URL(c.req.url).host,
        certificatePath: certificates ?? null,
        enrollSecretPath: secretPath ?? `${FOLDERS[platform]}enroll_secret`,
        configRefreshS: CONFIG_REFRESH_S,
        loggerPeriodS: LOGGER_PERIOD_S,
        distributedIntervalS: DISTRIBUTED_INTERVAL_S,
        flags: await flagsOf(c, platform),
      })
      return c.text(text)
    },
  )
}

/** Those of the base and of the platform's layers. Nothing is known of tags before a node is there. */
async function flagsOf(c: OperatorContext, platform: string): Promise<ReadonlyMap<string, FlagValue>> {
  const { version, document } = await stableConfiguration(c.var.db, c.var.environment.id)
  const layers = await layersOfVersion(c.var.db, c.var.environment.id, version)
  const chosen = layers.filter(({ match }) => 'platform' in match && match.platform === platform)
  return servedDocument(mergeLayers(document, chosen), { held: [] }).flags
}
