/** /environments/{env}/configuration/layers: what some nodes get over the base document. */

import { createRoute, z } from '@hono/zod-openapi'
import { LAYER_NAME, LAYER_NAME_RULE, MATCH_RULE } from '../config/layer-rules.ts'
import type { VersionContent } from '../config/content.ts'
import type { NewLayer } from '../config/version.ts'
import { stableConfiguration, layersOfVersion, type ConfigurationLayer } from '../db/configurations.ts'
import { findNodeSetByName } from '../db/node-sets.ts'
import { isPlatformFamily, type PlatformFamily } from '../fleet/platform.ts'
import { memberTexts } from '../lib/json-members.ts'
import { valueOfText } from '../lib/json-value.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { storedSchema, superseding, versionMessage } from './configuration.ts'
import { inEnvironment, replies } from './describe.ts'
import { tagName } from './names.ts'
import { notFound, problem, unprocessable } from './problem.ts'
import { faultsOf } from './request-faults.ts'
import { storeVersion } from './store-version.ts'

export const layerName = z.string().regex(LAYER_NAME, LAYER_NAME_RULE)

const family = z.custom<PlatformFamily>(
  (value) => typeof value === 'string' && isPlatformFamily(value),
  'is none of linux, darwin, windows, freebsd, unknown',
)
export const matchSchema = z.union(
  [
    z.strictObject({ platform: family }),
    z.strictObject({ tag: tagName }),
    z.strictObject({ nodeSet: z.string().min(1) }),
  ],
  MATCH_RULE,
)

/** Position 0 is the first over the base; a later layer wins. Without one a new layer comes last, a known one stays. */
const layerBody = z.strictObject({
  match: matchSchema,
  position: z.int().min(0).optional(),
  document: z.record(z.string(), z.unknown()),
})

export const layerSchema = z
  .object({
    name: z.string(),
    match: z.object({
      platform: z.string().optional(),
      tag: z.string().optional(),
      nodeSet: z.string().optional(),
    }),
    document: z.record(z.string(), z.unknown()),
  })
  .openapi('ConfigurationLayer')

const PATH = '/environments/{env}/configuration/layers'
const oneLayer = inEnvironment.extend({ name: layerName })
const withMessage = z.object({ message: versionMessage.optional(), supersede: superseding })

export function addConfigurationLayerRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: PATH,
      request: { params: inEnvironment },
      responses: replies(
        200,
        'In their order: a later layer wins',
        z.object({ version: z.int(), items: z.array(layerSchema) }),
      ),
    }),
    async (c) => {
      const environmentId = c.var.environment.id
      const { version } = await stableConfiguration(c.var.db, environmentId)
      const layers = await layersOfVersion(c.var.db, environmentId, version)
      const text = `{"version":${version},"items":[${layers.map(layerText).join(',')}]}`
      return c.body(text, 200, { 'content-type': 'application/json' })
    },
  )
  routes.openapi(
    createRoute({
      method: 'put',
      path: `${PATH}/{name}`,
      // Read by hand: the document's text is what counts.
      request: {
        params: oneLayer,
        query: withMessage,
        body: {
          required: true,
          content: {
            'application/json': { schema: { type: 'object', description: 'match, position, document' } },
          },
        },
      },
      responses: replies(200, 'Stored as a new version', storedSchema),
    }),
    async (c) => putLayer(c, c.req.valid('param').name, c.req.valid('query')),
  )
  routes.openapi(
    createRoute({
      method: 'delete',
      path: `${PATH}/{name}`,
      request: { params: oneLayer, query: withMessage },
      responses: replies(200, 'Stored as a new version without it', storedSchema),
    }),
    async (c) => {
      const { name } = c.req.valid('param')
      const { version } = await stableConfiguration(c.var.db, c.var.environment.id)
      const layers = await layersOfVersion(c.var.db, c.var.environment.id, version)
      if (!layers.some((layer) => layer.name === name)) return notFound('layer')
      const { message, supersede } = c.req.valid('query')
      const without = (present: VersionContent) => ({
        ...present,
        layers: present.layers.filter((layer) => layer.name !== name),
      })
      return storeVersion(c, message ?? `without layer ${name}`, without, { supersede })
    },
  )
}

async function putLayer(
  c: OperatorContext,
  name: string,
  { message, supersede }: z.infer<typeof withMessage>,
): Promise<Response> {
  const text = await c.req.text()
  const parsed = valueOfText(text)
  if (parsed === undefined) return problem(400, 'The body is not JSON.')
  const body = layerBody.safeParse(parsed)
  if (!body.success) return unprocessable(...faultsOf('json', body.error))
  const { match, position } = body.data
  if ('nodeSet' in match && (await findNodeSetByName(c.var.db, c.var.environment.id, match.nodeSet)) === null)
    return unprocessable({
      pointer: '/match/nodeSet',
      detail: 'there is no such node set in this environment',
    })
  const layer: NewLayer = { name, match, document: memberTexts(text).get('document') ?? '{}' }
  const change = (present: VersionContent) => ({
    ...present,
    layers: placed(present.layers, layer, position),
  })
  return storeVersion(c, message ?? `layer ${name}`, change, { supersede })
}

function placed(
  layers: readonly NewLayer[],
  layer: NewLayer,
  position: number | undefined,
): readonly NewLayer[] {
  const known = layers.findIndex(({ name }) => name === layer.name)
  const others = layers.filter(({ name }) => name !== layer.name)
  return others.toSpliced(position ?? (known === -1 ? others.length : known), 0, layer)
}

/** A layer as it is shown, its document as it is stored. */
export function layerText({ name, match, document }: ConfigurationLayer): string {
  return `${JSON.stringify({ name, match }).slice(0, -1)},"document":${document}}`
}
