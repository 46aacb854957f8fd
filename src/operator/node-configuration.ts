/** /environments/{env}/nodes/{id}/configuration: the document that a node gets, and which layer decided what. */

import { createRoute, z } from '@hono/zod-openapi'
import { differenceOf } from '../config/difference.ts'
import { distinct, heldUnder } from '../config/held.ts'
import { intervalPlaces, intervalsUnder } from '../config/intervals.ts'
import { mergeLayers } from '../config/merge.ts'
import { planOfRow } from '../config/rollout-moves.ts'
import { reportingOften, rolloutPlaceOf, type RolloutPlace } from '../config/rollout-place.ts'
import { BUILT_IN, CLEARING, INTERVALS, servedDocument } from '../config/served.ts'
import {
  findConfiguration,
  layersOfVersion,
  stableConfiguration,
  type ConfigurationLayer,
  type ConfigurationRow,
} from '../db/configurations.ts'
import { listHeldOptions } from '../db/held-options.ts'
import { findNodeSetByName } from '../db/node-sets.ts'
import { findNode, tagsOf, type NodeRow } from '../db/nodes.ts'
import { stretchOf } from '../fleet/brownout.ts'
import { intervalEdits, NO_STRETCH, withEdits, type IntervalStretch } from '../fleet/interval-edits.ts'
import type { ManagedOption } from '../fleet/intervals.ts'
import { splayBucketOf } from '../fleet/splay.ts'
import { NODE_STATES, nodeStateOf } from '../fleet/standing.ts'
import { textOf, utf8 } from '../lib/bytes.ts'
import { Deadline } from '../lib/deadline.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironmentWithId, replies } from './describe.ts'
import { notFound } from './problem.ts'
import { serverAdditionsOf } from './served-additions.ts'

/** Stands for a layer where a brownout, or one that was, says how often the node comes. */
const BROWNOUT = 'brownout'

/** An object that does not say in this time is an outage. */
const STATE_WITHIN_MS = 3_000

const nodeConfigurationSchema = z
  .object({
    state: z.enum(NODE_STATES).openapi({
      description:
        'Who is pending or blocked is served nothing of this: it is what it would get once it is let in',
    }),
    version: z.int(),
    layers: z.array(z.string()).openapi({ description: 'Those that apply, in their order' }),
    origins: z.array(z.object({ pointer: z.string(), layer: z.string() })).openapi({
      description: `The places that a layer decided, or "${CLEARING}", "${BUILT_IN}", "${INTERVALS}" or "${BROWNOUT}"; everything else is the base`,
    }),
    untilRestart: z
      .array(z.object({ pointer: z.string(), reason: z.string() }))
      .openapi({ description: 'What the node may hold from before, and nothing takes back' }),
    paused: z
      .array(z.object({ name: z.string(), pointer: z.string() }))
      .openapi({ description: 'Scheduled queries that are left out until they are resumed' }),
    document: z.record(z.string(), z.unknown()),
  })
  .openapi('NodeConfiguration')

export function addNodeConfigurationRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/environments/{env}/nodes/{id}/configuration',
      request: { params: inEnvironmentWithId },
      responses: replies(200, 'What the node is served', nodeConfigurationSchema),
    }),
    async (c) => {
      const node = await findNode(c.var.db, c.var.environment.id, c.req.valid('param').id)
      return node === null ? notFound('node') : configurationOf(c, node)
    },
  )
}

async function configurationOf(c: OperatorContext, node: NodeRow): Promise<Response> {
  const place = await rolloutPlaceOf(c.var.db, node.environmentId, node.ordinal)
  const { version, document } = await versionFor(c, place)
  const all = await layersOfVersion(c.var.db, node.environmentId, version)
  const tags = (await tagsOf(c.var.db, node.environmentId, [node.id])).get(node.id) ?? []
  const layers: ConfigurationLayer[] = []
  for (const layer of all) if (await appliesTo(c, layer, node, tags)) layers.push(layer)
  const merged = mergeLayers(document, layers)
  const mask = all.reduce((bits, layer, index) => (layers.includes(layer) ? bits | (1 << index) : bits), 0)
  const held = distinct([...(await listHeldOptions(c.var.db, node.environmentId)), ...place.held])
  const matches = all.map(({ match }) => match)
  const names = layers.map(({ name }) => name)
  const common = await serverAdditionsOf(c)
  const { rollout } = place
  const builtIn =
    rollout === null ? common.builtIn : reportingOften(common.builtIn, planOfRow(rollout).costIntervalS)
  const more = { ...common, builtIn }
  const intervals = intervalsUnder(more.managed, names)
  const additions = { ...more, held: heldUnder(held, matches, mask), intervals }
  const { text: ofAllBuckets, origins, lasting, paused, managed } = servedDocument(merged, additions)
  const { text, stretched } = await ofBucket(c, ofAllBuckets, managed, splayBucketOf(node.ordinal))
  const view = {
    state: nodeStateOf(node),
    version,
    layers: names,
    origins: [
      ...origins.filter(({ pointer }) => !stretched.includes(pointer)),
      ...stretched.map((pointer) => ({ pointer, layer: BROWNOUT })),
    ],
    untilRestart: lasting,
    paused,
  }
  const head = JSON.stringify(view).slice(0, -1)
  // The document's own text, so that numbers are shown as they are served.
  return c.body(`${head},"document":${text}}`, 200, { 'content-type': 'application/json' })
}

/** The version that the node gets: that of a rollout, or the one that all others get. */
async function versionFor(c: OperatorContext, { rollout }: RolloutPlace): Promise<ConfigurationRow> {
  const environmentId = c.var.environment.id
  const ofRollout =
    rollout === null ? null : await findConfiguration(c.var.db, environmentId, rollout.version)
  return ofRollout ?? stableConfiguration(c.var.db, environmentId)
}

/** The document as the edge makes it for a splay bucket, and the places where it is another because of a brownout. */
async function ofBucket(
  c: OperatorContext,
  text: string,
  managed: readonly ManagedOption[],
  bucket: number,
): Promise<{ text: string; stretched: string[] }> {
  const bytes = utf8(text)
  const places = intervalPlaces(bytes, managed)
  if (places === null) return { text, stretched: [] }
  const asked = c.env.ENVIRONMENT.getByName(c.var.environment.id).brownout()
  const stretch = stretchOf(await new Deadline(STATE_WITHIN_MS).run(asked), c.var.nowMs)
  const textUnder = (each: IntervalStretch) => textOf(withEdits(bytes, intervalEdits(places, each), bucket))
  const [usual, now] = [textUnder(NO_STRETCH), textUnder(stretch)]
  const changes = usual === now ? [] : differenceOf(JSON.parse(usual), JSON.parse(now))
  return { text: now, stretched: changes.map(({ pointer }) => pointer) }
}

async function appliesTo(
  c: OperatorContext,
  { match }: ConfigurationLayer,
  node: NodeRow,
  tags: readonly string[],
): Promise<boolean> {
  if ('platform' in match) return match.platform === node.platformFamily
  if ('tag' in match) return tags.includes(match.tag)
  const set = await findNodeSetByName(c.var.db, node.environmentId, match.nodeSet)
  return set?.has(node.ordinal) ?? false
}
