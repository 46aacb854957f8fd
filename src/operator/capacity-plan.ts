/** /environments/{env}/plan: what intervals ask of the server, and what Cloudflare bills for it, before anybody is told them. */

import { createRoute, z } from '@hono/zod-openapi'
import { intervalPlaces, readIntervals } from '../config/intervals.ts'
import { stableConfiguration } from '../db/configurations.ts'
import { countNodes } from '../db/environments.ts'
import { brownedOut, plannedBill, plannedRequests, type PlannedFleet } from '../fleet/capacity-plan.ts'
import { stretchOf } from '../fleet/brownout.ts'
import {
  MANAGED_OPTIONS,
  RECOMMENDED_INTERVALS,
  type ManagedOption,
  type WholeIntervals,
} from '../fleet/intervals.ts'
import { utf8 } from '../lib/bytes.ts'
import { readRetention, RETENTION_CLASSES, retentionDaysOf } from '../logs/retention.ts'
import { brownoutSchema, shownBrownout } from './brownout.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironment, replies } from './describe.ts'
import { brownoutOf } from './directory-objects.ts'

/** What an agent with the starter's queries writes (design 5). */
const DEFAULT_LINE_BYTES = 1_200_000
/** As the benchmark's tables have them: few nodes over many isolates refresh more heads. */
const DEFAULT_ISOLATES = 100

function whole(most: number, description: string) {
  return z
    .string()
    .regex(/^\d{1,12}$/, 'is not a whole number')
    .transform(Number)
    .pipe(z.number().min(1, 'is less than 1').max(most, `is more than ${most}`))
    .optional()
    .openapi({ type: 'integer', minimum: 1, maximum: most, description })
}

/** Strict: a name that is mistyped would give figures of something else. */
const planQuery = z.strictObject({
  nodes: whole(10_000_000, 'How many; those of the environment unless said'),
  config_tls_refresh: whole(604_800, 'Seconds between two fetches of the configuration'),
  distributed_interval: whole(604_800, 'Seconds between two polls for live queries'),
  logger_tls_period: whole(604_800, 'Seconds between two POSTs of log lines'),
  lineBytesPerNodeAndDay: whole(10_000_000_000, `Of log lines; ${DEFAULT_LINE_BYTES} unless said`),
  isolates: whole(100_000, `Of the Worker, that share the traffic; ${DEFAULT_ISOLATES} unless said`),
  port: z.enum(['queue', 'inbox'], 'is none of queue, inbox').optional(),
  retentionDays: z
    .enum(
      RETENTION_CLASSES.map(String) as [string, ...string[]],
      `is none of ${RETENTION_CLASSES.join(', ')}`,
    )
    .transform(Number)
    .optional()
    .openapi({ type: 'integer' }),
})

const wait = z.object({ median: z.number(), p95: z.number() })
const requestsSchema = z.object({
  formula: z.string(),
  perSecond: z.number(),
  perDay: z.int(),
  reads: z.number(),
  configs: z.number(),
  logs: z.number(),
  peak: z.object({ unsplayed: z.int(), splayed: z.int() }).openapi({
    description:
      'Requests in the busiest second after all nodes began in one (a power cut): as they are, and spread over 16 groups',
  }),
  waitSeconds: z.object({ query: wait, configuration: wait, logLine: wait }),
})
const billSchema = z.object({
  pricesReadOn: z.string(),
  unitsMeasuredOn: z.string(),
  planDollars: z.number(),
  items: z.array(
    z.object({
      item: z.string(),
      units: z.number(),
      included: z.number(),
      dollars: z.number(),
      price: z.object({ dollars: z.number(), per: z.number(), source: z.string() }),
    }),
  ),
  totalDollars: z.number(),
})
const planSchema = z
  .object({
    nodes: z.int(),
    intervals: z.record(z.string(), z.object({ seconds: z.int(), from: z.string() })),
    assumed: z.object({
      lineBytesPerNodeAndDay: z.int(),
      isolates: z.int(),
      port: z.string(),
      retentionDays: z.int(),
    }),
    brownout: brownoutSchema.extend({ requestsPerSecond: z.number(), dollarsAMonth: z.number() }).openapi({
      description: 'What the brownout that is on makes of it, once all agents have heard of it',
    }),
    requests: requestsSchema,
    bill: billSchema.openapi({
      description:
        'US dollars a month at list prices, of an account that has nothing but this; live queries, carves and ' +
        'sinks come on top',
    }),
  })
  .openapi('CapacityPlan')

export function addCapacityPlanRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/environments/{env}/plan',
      request: { params: inEnvironment, query: planQuery },
      responses: replies(200, 'Requests and the bill', planSchema),
    }),
    async (c) => c.json(await planOf(c, c.req.valid('query'))),
  )
}

async function planOf(c: OperatorContext, query: z.infer<typeof planQuery>) {
  const { environment, db } = c.var
  const intervals = await intervalsOf(c, query)
  const nodes = query.nodes ?? (await countNodes(db, [environment.id])).get(environment.id) ?? 0
  const fleet: PlannedFleet = {
    nodes,
    intervals: secondsOf(intervals),
    lineBytesPerDay: query.lineBytesPerNodeAndDay ?? DEFAULT_LINE_BYTES,
    isolates: query.isolates ?? DEFAULT_ISOLATES,
    port: query.port ?? c.env.LOG_ACK_PORT,
    retentionDays: query.retentionDays ?? retentionDaysOf(readRetention(environment.retention), 'result'),
  }
  const { lineBytesPerDay: lineBytesPerNodeAndDay, isolates, port, retentionDays } = fleet
  const state = await brownoutOf(c, environment.id)
  const { factor } = stretchOf(state, c.var.nowMs)
  const during = brownedOut(fleet, factor)
  return {
    nodes,
    brownout: {
      ...shownBrownout(state, c.var.nowMs),
      requestsPerSecond: plannedRequests(during).perSecond,
      dollarsAMonth: plannedBill(during).totalDollars,
    },
    intervals,
    assumed: { lineBytesPerNodeAndDay, isolates, port, retentionDays },
    requests: plannedRequests(fleet),
    bill: plannedBill(fleet),
  }
}

type Intervals = Record<ManagedOption, { seconds: number; from: string }>

/** What the query says, or the configuration's base, or what is managed; else what the README's flagfile says. */
async function intervalsOf(c: OperatorContext, query: z.infer<typeof planQuery>): Promise<Intervals> {
  const { environment, db } = c.var
  const { base } = readIntervals(environment.intervals)
  const { document } = await stableConfiguration(db, environment.id)
  const said = intervalPlaces(utf8(document), [])?.said ?? []
  const each = MANAGED_OPTIONS.map((option) => {
    const written = said.find((place) => place.option === option)?.seconds ?? null
    const found =
      query[option] !== undefined
        ? { seconds: query[option], from: 'query' }
        : written !== null
          ? { seconds: written, from: 'configuration' }
          : base !== null
            ? { seconds: base[option], from: 'managed intervals' }
            : { seconds: RECOMMENDED_INTERVALS[option], from: 'recommended' }
    return [option, found] as const
  })
  return Object.fromEntries(each) as Intervals
}

function secondsOf(intervals: Intervals): WholeIntervals {
  return Object.fromEntries(
    Object.entries(intervals).map(([option, { seconds }]) => [option, seconds]),
  ) as WholeIntervals
}
