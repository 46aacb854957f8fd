/** /environments/{env}/costs: what scheduled queries cost the nodes that run them. */

import { createRoute, z } from '@hono/zod-openapi'
import { KEPT_DAYS } from '../costs/constants.ts'
import { readCosts, readDeniedNodes } from '../costs/read.ts'
import { readRules } from '../costs/rules.ts'
import { highestOrdinal } from '../db/environments.ts'
import { nodesOfOrdinals, type NamedNode } from '../db/node-names.ts'
import { listPaused } from '../db/paused-queries.ts'
import { rfc3339 } from '../lib/time.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import {
  isVersion,
  pausedSchema,
  pausedView,
  queryCostSchema,
  queryCostView,
  versionSchema,
  versionView,
} from './cost-view.ts'
import { envParam, inEnvironment, replies, time } from './describe.ts'
import { idKey, cursorOf, pagingQuery } from './paging.ts'
import { notFound } from './problem.ts'

const DEFAULT_DAYS = 7
/** Of nodes with a query on their denylist; the count says how many there are. */
const MAX_DENIED_SHOWN = 100

const days = z
  .string()
  .regex(/^\d{1,3}$/, 'is not a number')
  .transform(Number)
  .pipe(z.number().min(1, 'is less than 1').max(KEPT_DAYS, `is more than ${KEPT_DAYS}`))
  .optional()
  .transform((given) => given ?? DEFAULT_DAYS)
  .openapi({
    type: 'integer',
    minimum: 1,
    maximum: KEPT_DAYS,
    default: DEFAULT_DAYS,
    description: 'UTC days',
  })

const listSchema = z.object({
  nodes: z.int().openapi({ description: 'That report costs' }),
  paused: z.array(z.object({ query: z.string(), paused: pausedSchema })),
  items: z.array(queryCostSchema),
  nextCursor: z.string().nullable(),
})
const nodeName = { nodeId: z.string().nullable(), hostname: z.string().nullable() }
const detailSchema = queryCostSchema.omit({ prevailing: true, versions: true }).extend({
  versions: z.array(
    versionSchema.extend({
      worstNodes: z
        .array(z.object({ ...nodeName, cpuMs: z.int(), executions: z.int() }))
        .openapi({ description: 'By user and system time of an execution, on the average of a report' }),
    }),
  ),
  denylistedOn: z.array(z.object({ ...nodeName, version: z.string().nullable(), since: time })).openapi({
    description: `At most ${MAX_DENIED_SHOWN}`,
  }),
})

const PATH = '/environments/{env}/costs'
export const oneQuery = z.object({
  env: envParam,
  query: z.string().openapi({ description: 'The name in log lines, percent-encoded' }),
})

export function addCostRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: PATH,
      description:
        'By name. Counted from what agents report of osquery_schedule with the built-in cost query; a query whose SQL or ' +
        'interval changed begins anew.',
      request: { params: inEnvironment, query: z.object({ days, ...pagingQuery(idKey) }) },
      responses: replies(200, 'A page', listSchema),
    }),
    async (c) => {
      const { days: asked, cursor, limit } = c.req.valid('query')
      return c.json(await listOf(c, asked, cursor?.[0] ?? '', limit))
    },
  )
  routes.openapi(
    createRoute({
      method: 'get',
      path: `${PATH}/{query}`,
      request: { params: oneQuery, query: z.object({ days }) },
      responses: replies(200, 'All versions of the query, and where it costs most', detailSchema),
    }),
    async (c) => {
      const found = await detailOf(c, c.req.valid('param').query, c.req.valid('query').days)
      return found === null ? notFound('query') : c.json(found)
    },
  )
}

async function listOf(c: OperatorContext, daysAsked: number, after: string, limit: number) {
  const { environment, db, nowMs } = c.var
  const highest = await highestOrdinal(db, environment.id)
  const request = { days: daysAsked, nowMs, name: null, after, limit }
  const { versions, isMore, nodes } = await readCosts(c.env, environment.id, highest, request)
  const { paused } = await listPaused(db, environment.id)
  const { budget } = readRules(environment.costRules)
  const items = [...Map.groupBy(versions, ({ name }) => name)].map(([name, ofName]) =>
    queryCostView(
      name,
      ofName,
      budget,
      paused.find((row) => row.name === name),
    ),
  )
  const last = items.at(-1)
  return {
    nodes,
    paused: paused.map((row) => ({ query: row.name, paused: pausedView(row) })),
    items,
    nextCursor: isMore && last !== undefined ? cursorOf([last.query]) : null,
  }
}

/** Null where nobody has reported it, and it is not paused either. */
async function detailOf(c: OperatorContext, name: string, daysAsked: number) {
  const { environment, db, nowMs } = c.var
  const highest = await highestOrdinal(db, environment.id)
  const request = { days: daysAsked, nowMs, name, after: '', limit: 1 }
  const { versions } = await readCosts(c.env, environment.id, highest, request)
  const { paused } = await listPaused(db, environment.id)
  const row = paused.find((each) => each.name === name)
  if (versions.length === 0 && row === undefined) return null
  const { budget } = readRules(environment.costRules)
  const isDenied = versions.some(({ denied }) => denied > 0)
  const denied = isDenied ? await readDeniedNodes(c.env, environment.id, highest, name, MAX_DENIED_SHOWN) : []
  const ordinals = [...denied, ...versions.flatMap(({ tally }) => tally.worst)].map(({ ordinal }) => ordinal)
  const names = await nodesOfOrdinals(c.env.DB, environment.id, ordinals)
  const { prevailing: _prevailing, versions: _count, ...shown } = queryCostView(name, versions, budget, row)
  return {
    ...shown,
    versions: versions.filter(isVersion).map((version) => ({
      ...versionView(version, budget),
      worstNodes: version.tally.worst.map(({ ordinal, cpuMs, executions }) => ({
        ...nameOf(names, ordinal),
        cpuMs,
        executions,
      })),
    })),
    denylistedOn: denied.map(({ ordinal, hash, sinceS }) => ({
      ...nameOf(names, ordinal),
      version: hash === '' ? null : hash,
      since: rfc3339(sinceS * 1_000),
    })),
  }
}

/** Of a node that was deleted meanwhile nothing is known. */
function nameOf(names: ReadonlyMap<number, NamedNode>, ordinal: number) {
  const { id = null, hostname = null } = names.get(ordinal) ?? {}
  return { nodeId: id, hostname }
}
