/** What is known of an environment's costs, for plans and budgets. What cannot be read now is not known. */

import { z } from '@hono/zod-openapi'
import { budgetFindings } from '../costs/budget.ts'
import { KEPT_DAYS } from '../costs/constants.ts'
import { RATINGS } from '../costs/figures.ts'
import type { VersionSummary } from '../costs/kinds.ts'
import { KnownCosts } from '../costs/known.ts'
import { readCosts } from '../costs/read.ts'
import { readRules } from '../costs/rules.ts'
import type { VersionContent } from '../config/content.ts'
import type { Finding } from '../config/report.ts'
import { highestOrdinal } from '../db/environments.ts'
import { readVolume } from '../logs/volume.ts'
import type { OperatorContext } from './context.ts'
import { reasonOf } from './failure.ts'

/** Names that are read at once; and of all. */
const NAMES_AT_ONCE = 500
const MAX_NAMES = 5_000
/** Groups of a day's volume: more than queries that anybody schedules. */
const MAX_GROUPS = 1_000
const DAY_MS = 86_400_000

const fleetDay = z.object({
  nodes: z.int(),
  executions: z.int(),
  cpuMs: z.int().nullable(),
  outputBytes: z.int().nullable(),
  lines: z.int().nullable(),
})
const fleetSum = z.object({
  executions: z.int(),
  cpuMs: z.int(),
  outputBytes: z.int(),
  lines: z.int(),
  unknown: z.int().openapi({ description: 'Queries whose cost is not known, and not in these sums' }),
})
/** Member of a plan. */
export const estimateSchema = z
  .object({
    queries: z.array(
      z.object({ query: z.string(), rating: z.enum(RATINGS), before: fleetDay, after: fleetDay }),
    ),
    before: fleetSum,
    after: fleetSum,
  })
  .nullable()
  .openapi({
    description:
      'What all nodes together would do in 24 hours, by what the same SQL cost in the last weeks; null: not known. ' +
      'cpuMs: user and system time; lines: of the log. All nodes run all the time, and no discovery or version keeps a ' +
      'query from one. The whole is null where costs cannot be read now.',
  })

/** Null where it cannot be read now. */
export async function knownCostsOf(c: OperatorContext): Promise<KnownCosts | null> {
  try {
    return new KnownCosts(await allVersions(c), await linesByName(c))
  } catch (error) {
    console.warn(JSON.stringify({ event: 'costs-not-read', reason: reasonOf(error) }))
    return null
  }
}

export interface BudgetCheck {
  /** Of this change; it is to be refused for them. */
  refused: Finding[]
  warnings: Finding[]
}

/** Holds a version against the environment's budget. What a query costs that has never run is not known. */
export async function checkBudget(
  c: OperatorContext,
  present: VersionContent,
  wanted: VersionContent,
  mayExceed: boolean,
): Promise<BudgetCheck> {
  const { budget } = readRules(c.var.environment.costRules)
  if (budget === null) return { refused: [], warnings: [] }
  const costs = await knownCostsOf(c)
  if (costs === null)
    return {
      refused: [],
      warnings: [{ pointer: '/schedule', detail: 'costs cannot be read now: the budget was not checked' }],
    }
  const found = await budgetFindings(present, wanted, budget, costs)
  const isRefused = budget.mode === 'block' && !mayExceed
  return {
    refused: found.filter(({ isOld }) => isRefused && !isOld).map(plain),
    warnings: found.filter(({ isOld }) => !isRefused || isOld).map(plain),
  }
}

function plain({ pointer, detail }: Finding): Finding {
  return { pointer, detail }
}

async function allVersions(c: OperatorContext): Promise<VersionSummary[]> {
  const { environment, db, nowMs } = c.var
  const highest = await highestOrdinal(db, environment.id)
  const versions: VersionSummary[] = []
  let after = ''
  for (let names = 0; names < MAX_NAMES; names += NAMES_AT_ONCE) {
    const request = { days: KEPT_DAYS, nowMs, name: null, after, limit: NAMES_AT_ONCE }
    const page = await readCosts(c.env, environment.id, highest, request)
    versions.push(...page.versions)
    if (!page.isMore) break
    after = page.versions.at(-1)?.name ?? ''
  }
  return versions
}

async function linesByName(c: OperatorContext): Promise<Map<string, number>> {
  const { environment, nowMs } = c.var
  const dayOf = (atMs: number) => new Date(atMs).toISOString().slice(0, 10)
  const { items } = await readVolume(c.env, environment.id, {
    by: 'query',
    fromDay: dayOf(nowMs - (KEPT_DAYS - 1) * DAY_MS),
    throughDay: dayOf(nowMs),
    type: null,
    nodeId: null,
    name: null,
    top: MAX_GROUPS,
  })
  const lines = new Map<string, number>()
  for (const { group, lines: count } of items)
    if (group !== null) lines.set(group, (lines.get(group) ?? 0) + count)
  return lines
}
