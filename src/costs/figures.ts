/** What operators are shown of a tally: figures of one execution, of a node and day, and Fleet's word for it. Pure. */

import { DAY_S } from './constants.ts'
import { cpuMsOf } from './counters.ts'
import type { CostBudget } from './rules.ts'
import { quantileOf, TALLY_METRICS, type QueryTally, type Spread, type TallyMetric } from './tally.ts'

export const RATINGS = ['minimal', 'considerable', 'excessive', 'undetermined'] as const
export type Rating = (typeof RATINGS)[number]

/** Fleet's scale, on user and system time of the median execution. */
const CONSIDERABLE_FROM_MS = 2_000
const EXCESSIVE_FROM_MS = 4_000

export interface SpreadFigures {
  p50: number
  p95: number
  max: number
}

export interface NodeDay {
  executions: number
  userMs: number
  systemMs: number
  wallMs: number
  outputBytes: number
}

export interface Figures {
  executions: number
  /** Of one execution; null where there was none. */
  perExecution: Record<TallyMetric, SpreadFigures> | null
  /** On the average, of a node in 24 hours; null where no time is known. */
  perNodeAndDay: NodeDay | null
  rating: Rating
}

export function figuresOf(tally: QueryTally): Figures {
  const { executions, userMs, systemMs, wallMs, outputBytes, spanS } = tally
  const ofDay = (sum: number) => Math.round((sum * DAY_S * 100) / spanS) / 100
  return {
    executions,
    perExecution: executions === 0 ? null : spreadsOf(tally),
    perNodeAndDay:
      spanS === 0
        ? null
        : {
            executions: ofDay(executions),
            userMs: ofDay(userMs),
            systemMs: ofDay(systemMs),
            wallMs: ofDay(wallMs),
            outputBytes: ofDay(outputBytes),
          },
    rating: ratingOf(quantileOf(tally.spreads.cpuMs, 0.5)),
  }
}

/** Null: it has not run. */
export function ratingOf(medianCpuMs: number | null): Rating {
  if (medianCpuMs === null) return 'undetermined'
  if (medianCpuMs < CONSIDERABLE_FROM_MS) return 'minimal'
  return medianCpuMs < EXCESSIVE_FROM_MS ? 'considerable' : 'excessive'
}

/** How figures go over a budget, in words; none where they do not, or there are none. */
export function overBudget(
  figures: Pick<Figures, 'perExecution' | 'perNodeAndDay'>,
  budget: CostBudget,
): string[] {
  const over: string[] = []
  const p95 = figures.perExecution?.cpuMs.p95
  const { maxExecutionMs, maxDailyMs } = budget
  if (maxExecutionMs !== null && p95 !== undefined && p95 > maxExecutionMs)
    over.push(`takes ${p95} ms of CPU in one of 20 executions; the budget is ${maxExecutionMs} ms`)
  const day = figures.perNodeAndDay
  const dailyMs = day === null ? 0 : Math.round(cpuMsOf(day))
  if (maxDailyMs !== null && dailyMs > maxDailyMs)
    over.push(`takes ${dailyMs} ms of CPU of a node and day; the budget is ${maxDailyMs} ms`)
  return over
}

function spreadsOf({ spreads }: QueryTally): Record<TallyMetric, SpreadFigures> {
  const figures = TALLY_METRICS.map((metric) => [metric, spreadFigures(spreads[metric])])
  return Object.fromEntries(figures) as Record<TallyMetric, SpreadFigures>
}

function spreadFigures(spread: Spread): SpreadFigures {
  return { p50: quantileOf(spread, 0.5) ?? 0, p95: quantileOf(spread, 0.95) ?? 0, max: spread.max }
}
