/**
 * /environments/{env}/configuration/plan and /apply: a whole version at once, as a directory of files has it. What
 * plan says of a content is what apply does with it.
 */

import { createRoute, z } from '@hono/zod-openapi'
import type { VersionContent } from '../config/content.ts'
import { readIntervalBody } from '../config/interval-body.ts'
import type { ManagedIntervals } from '../config/intervals.ts'
import { compareItems, ITEM_KINDS } from '../config/items.ts'
import type { NewLayer } from '../config/version.ts'
import { findNodeSetByName } from '../db/node-sets.ts'
import { itemTexts, memberTexts } from '../lib/json-members.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import { valueOfText } from '../lib/json-value.ts'
import { layerName, matchSchema } from './configuration-layers.ts'
import { planOf, reachSchema } from './configuration-reach.ts'
import { changeSchema } from './configuration-versions.ts'
import { storedSchema, versionMessage } from './configuration.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironment, replies } from './describe.ts'
import { problem, unprocessable, type Fault } from './problem.ts'
import { faultsOf } from './request-faults.ts'
import { rolloutBody, rolloutSchema, rolloutView } from './rollout-bodies.ts'
import { changesIntervals, commitVersion, prepareVersion, type CommitOptions } from './store-version.ts'

const bodySchema = z.strictObject({
  document: z.record(z.string(), z.unknown()),
  layers: z.array(
    z.strictObject({ name: layerName, match: matchSchema, document: z.record(z.string(), z.unknown()) }),
  ),
  message: versionMessage.optional(),
  expectedVersion: z.int().min(1).optional(),
  /** Of apply: to some nodes first; taking back the rollout that is under way. */
  rollout: rolloutBody.optional(),
  supersede: z.boolean().optional(),
  /** As PUT …/intervals takes them; absent: they stay. */
  intervals: z.unknown().optional(),
})

const tallySchema = z.object({
  created: z.int(),
  updated: z.int(),
  unchanged: z.int(),
  deleted: z.int(),
})
const countedSchema = {
  result: z.enum(['created', 'unchanged']),
  counts: z.object(Object.fromEntries(ITEM_KINDS.map((kind) => [kind, tallySchema]))),
  items: z
    .array(
      z.object({
        kind: z.enum(ITEM_KINDS),
        pack: z.string().nullable().optional(),
        name: z.string(),
        change: z.enum(['created', 'updated', 'deleted']),
      }),
    )
    .openapi({ description: 'What is not as it was' }),
  intervals: z
    .enum(['updated', 'unchanged'])
    .nullable()
    .openapi({ description: 'Managed intervals; null: nothing was said of them' }),
}
const planSchema = z
  .object({
    version: z.int().openapi({ description: 'The present one' }),
    ...countedSchema,
    changes: z.array(changeSchema),
    truncated: z.boolean(),
    ...reachSchema,
    warnings: z.array(z.object({ pointer: z.string(), detail: z.string() })),
  })
  .openapi('ConfigurationPlan')
const appliedSchema = storedSchema
  .extend({ ...countedSchema, rollout: rolloutSchema.nullable() })
  .openapi('AppliedConfiguration')

const PATH = '/environments/{env}/configuration'
// Read by hand: the documents' texts are what counts.
const request = {
  params: inEnvironment,
  body: {
    required: true,
    content: {
      'application/json': {
        schema: {
          type: 'object',
          description: 'document, layers, message, expectedVersion, rollout, supersede, intervals',
        } as const,
      },
    },
  },
}

export function addConfigurationPlanRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'post',
      path: `${PATH}/plan`,
      request,
      responses: replies(200, 'What apply would change; nothing is stored', planSchema),
    }),
    async (c) => {
      const wanted = await wantedOf(c)
      if (!wanted.ok) return wanted.reason
      const { content, expectedVersion, intervals } = wanted.value
      const prepared = await prepareVersion(c, () => content, expectedVersion)
      if (!prepared.ok) return prepared.reason
      return c.json({
        ...(await planOf(c, prepared.value)),
        intervals: intervalChange(c, intervals, content.layers),
      })
    },
  )
  routes.openapi(
    createRoute({
      method: 'post',
      path: `${PATH}/apply`,
      request,
      responses: replies(200, 'Stored as a new version, unless the newest is the same', appliedSchema),
    }),
    async (c) => {
      const wanted = await wantedOf(c)
      if (!wanted.ok) return wanted.reason
      const { content, message, ...options } = wanted.value
      const stored = await commitVersion(c, message, () => content, options)
      if (!stored.ok) return stored.reason
      const { present, wanted: after, version, revision, live, sha256, bytes, warnings } = stored.value
      const { rollout } = stored.value
      const isNew = version !== present.version && (rollout === null || rollout.createdAtMs === c.var.nowMs)
      const result = isNew ? 'created' : 'unchanged'
      return c.json({
        result,
        version,
        revision,
        live,
        sha256,
        bytes,
        ...compareItems(present, after),
        intervals: intervalChange(c, options.intervals, content.layers),
        rollout: rollout === null ? null : rolloutView(rollout, c.var.nowMs),
        warnings,
      })
    },
  )
}

interface Wanted extends CommitOptions {
  content: VersionContent
  message: string
}

async function wantedOf(c: OperatorContext): Promise<Result<Wanted, Response>> {
  const text = await c.req.text()
  const parsed = valueOfText(text)
  if (parsed === undefined) return fail(problem(400, 'The body is not JSON.'))
  const body = bodySchema.safeParse(parsed)
  if (!body.success) return fail(unprocessable(...faultsOf('json', body.error)))
  const members = memberTexts(text)
  const texts = itemTexts(members.get('layers') ?? '[]')
  const layers = body.data.layers.map(({ name, match }, index) => ({
    name,
    match,
    document: memberTexts(texts[index] ?? '{}').get('document') ?? '{}',
  }))
  const intervals = intervalsOf(body.data, layers)
  const faults = [...(await layerFaults(c, layers)), ...(intervals.ok ? [] : intervals.reason)]
  if (faults.length > 0 || !intervals.ok) return fail(unprocessable(...faults))
  return ok({
    intervals: intervals.value,
    content: { document: members.get('document') ?? '{}', layers },
    message: body.data.message ?? '',
    expectedVersion: body.data.expectedVersion,
    rollout: body.data.rollout,
    supersede: body.data.supersede,
  })
}

/** Undefined where nothing is said of them. */
function intervalsOf(
  { intervals, rollout }: z.infer<typeof bodySchema>,
  layers: readonly NewLayer[],
): Result<ManagedIntervals | undefined, Fault[]> {
  if (intervals === undefined) return ok(undefined)
  if (rollout !== undefined)
    return fail([
      { pointer: '/intervals', detail: 'hold for all nodes at once: leave them out of a rollout' },
    ])
  const read = readIntervalBody(
    intervals,
    layers.map(({ name }) => name),
  )
  if (read.ok) return read
  return fail(read.reason.map(({ pointer, detail }) => ({ pointer: `/intervals${pointer}`, detail })))
}

function intervalChange(
  c: OperatorContext,
  intervals: ManagedIntervals | undefined,
  layers: VersionContent['layers'],
) {
  if (intervals === undefined) return null
  return changesIntervals(c, intervals, layers) ? ('updated' as const) : ('unchanged' as const)
}

async function layerFaults(c: OperatorContext, layers: readonly NewLayer[]): Promise<Fault[]> {
  const faults: Fault[] = []
  const names = new Set<string>()
  for (const [index, { name, match }] of layers.entries()) {
    if (names.has(name))
      faults.push({ pointer: `/layers/${index}/name`, detail: 'is the name of another layer' })
    names.add(name)
    if (
      'nodeSet' in match &&
      (await findNodeSetByName(c.var.db, c.var.environment.id, match.nodeSet)) === null
    )
      faults.push({
        pointer: `/layers/${index}/match/nodeSet`,
        detail: 'there is no such node set in this environment',
      })
  }
  return faults
}
