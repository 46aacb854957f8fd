/** Which queries of a version go over the environment's budget, by what they are known to cost. Pure. */

import { scheduledQueriesOf, type ScheduledQuery } from '../config/scheduled-queries.ts'
import type { Finding } from '../config/report.ts'
import { mergeLayers } from '../config/merge.ts'
import type { VersionContent } from '../config/content.ts'
import type { JsonObject } from '../lib/json-value.ts'
import { possibleMasks } from '../fleet/layers.ts'
import { pointerOf } from '../lib/json-pointer.ts'
import { overBudget } from './figures.ts'
import type { KnownCosts } from './known.ts'
import type { CostBudget } from './rules.ts'

export interface BudgetFinding extends Finding {
  /** Whether the present version has the query, as often or more often: then it is no fault of this change. */
  isOld: boolean
}

/** What goes over it, at its place: that of the base, or of the fewest layers that make it. */
export async function budgetFindings(
  present: VersionContent,
  wanted: VersionContent,
  budget: CostBudget,
  costs: KnownCosts,
): Promise<BudgetFinding[]> {
  const known = shortestIntervals(queriesOf(present).map(({ query }) => query))
  const findings: BudgetFinding[] = []
  for (const { query, layers } of queriesOf(wanted)) {
    const cost = await costs.of(query)
    if (cost === null) continue
    const { perExecution, perNodeAndDay } = cost
    const ofDay = { executions: 0, userMs: perNodeAndDay.cpuMs, systemMs: 0, wallMs: 0, outputBytes: 0 }
    const place = layers === '' ? '' : `/layers/${layers}`
    for (const detail of overBudget({ perExecution, perNodeAndDay: ofDay }, budget))
      findings.push({
        pointer: place + pointerOf(query.path),
        detail: `${query.name} ${detail}`,
        isOld: query.intervalS >= (known.get(textKeyOf(query)) ?? Number.POSITIVE_INFINITY),
      })
  }
  return findings
}

/** Each query once, where the fewest layers show it. */
function queriesOf({ document, layers }: VersionContent): { query: ScheduledQuery; layers: string }[] {
  const found = new Map<string, { query: ScheduledQuery; layers: string }>()
  for (const mask of possibleMasks(layers.map(({ match }) => match))) {
    const chosen = layers.filter((_layer, index) => (mask & (1 << index)) !== 0)
    const text = mergeLayers(document, chosen).text
    const names = chosen.map(({ name }) => name).join('+')
    for (const query of scheduledQueriesOf(JSON.parse(text) as JsonObject)) {
      const key = keyOf(query)
      if (!found.has(key)) found.set(key, { query, layers: names })
    }
  }
  return [...found.values()]
}

/** How often each query runs at most: who makes one rarer makes it cheaper. */
function shortestIntervals(queries: readonly ScheduledQuery[]): ReadonlyMap<string, number> {
  const shortest = new Map<string, number>()
  for (const query of queries) {
    const key = textKeyOf(query)
    shortest.set(key, Math.min(query.intervalS, shortest.get(key) ?? Number.POSITIVE_INFINITY))
  }
  return shortest
}

function textKeyOf({ name, sql }: ScheduledQuery): string {
  return JSON.stringify([name, sql])
}

function keyOf({ name, sql, intervalS }: ScheduledQuery): string {
  return JSON.stringify([name, sql, intervalS])
}
