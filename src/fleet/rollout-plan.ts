/** What an operator wants of a rollout, and what follows where it is left open. Pure. */

import type { NodeSet } from './node-set.ts'
import { membersOfStep, type RolloutStep, type StepPlan } from './rollout.ts'
import { DEFAULT_LIMITS, type GateLimits } from './rollout-gates.ts'
import type { Targets } from './targeting.ts'

/** Readers accept this format and the one before it (design 4). */
export const PLAN_FORMAT = 1

/** Half an hour is some polls of every agent that is there; larger steps last longer, because more is at stake. */
export const DEFAULT_STEPS: readonly RolloutStep[] = [
  { percent: 1, waitS: 1_800 },
  { percent: 10, waitS: 1_800 },
  { percent: 50, waitS: 3_600 },
  { percent: 100, waitS: 3_600 },
]
export const MAX_STEPS = 20
/** Members tell their costs a few times within a step, but not more often than this. */
const COST_REPORTS_A_STEP = 4
const SHORTEST_COST_INTERVAL_S = 60
export const LONGEST_COST_INTERVAL_S = 3_600

export interface RolloutPlan extends StepPlan {
  format: number
  /** Who gets it first, as the operator wrote it; null: the first step's share. */
  canary: Targets | null
  gates: GateLimits
  whenUnknown: 'hold' | 'pass'
  /** How often members tell what their queries cost while it runs. */
  costIntervalS: number
}

/** What a request may leave open. */
export interface WantedRollout {
  canary?: Targets | undefined
  steps?: readonly RolloutStep[] | undefined
  gates?: Partial<{ [Gate in keyof GateLimits]: GateLimits[Gate] | undefined }> | undefined
  whenUnknown?: 'hold' | 'pass' | undefined
  autoHalt?: boolean | undefined
  onHalt?: 'rollback' | 'freeze' | undefined
}

/**
 * The whole plan. A canary by percent is the first step; any other comes before the steps, for as long as the first one
 * lasts. Gates that compare costs are off where nodes do not report any.
 */
export function planOf(wanted: WantedRollout, hasCosts: boolean): RolloutPlan {
  const { canary, gates = {} } = wanted
  const steps = [...(wanted.steps ?? DEFAULT_STEPS)]
  if (canary !== undefined) {
    const percent = 'percent' in canary ? canary.percent : 0
    const waitS = steps[0]?.waitS ?? 0
    const larger = steps.filter((step) => step.percent > percent)
    steps.splice(0, steps.length, { percent, waitS }, ...larger)
  }
  const off = hasCosts ? {} : { cpu: null, memory: null, logVolume: null }
  const said = Object.entries(gates).filter(([, limit]) => limit !== undefined)
  const shortest = Math.min(...steps.map(({ waitS }) => waitS).filter((waitS) => waitS > 0))
  const costIntervalS = Math.round(Math.min(shortest / COST_REPORTS_A_STEP, LONGEST_COST_INTERVAL_S))
  return {
    format: PLAN_FORMAT,
    canary: canary ?? null,
    steps,
    gates: { ...DEFAULT_LIMITS, ...off, ...Object.fromEntries(said) },
    whenUnknown: wanted.whenUnknown ?? 'hold',
    autoHalt: wanted.autoHalt ?? true,
    onHalt: wanted.onHalt ?? 'rollback',
    costIntervalS: Math.max(SHORTEST_COST_INTERVAL_S, costIntervalS),
  }
}

/** Leaves out steps that bring no node that was not there before: with 20 nodes, 1 % is nobody. */
export function stepsThatCount(
  steps: readonly RolloutStep[],
  canary: NodeSet,
  everyone: NodeSet,
): RolloutStep[] {
  let members = canary
  let size = 0
  return steps.filter((step) => {
    members = membersOfStep(step, members, everyone)
    const brings = members.size > size
    size = members.size
    return brings
  })
}
