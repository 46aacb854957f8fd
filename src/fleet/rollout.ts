/**
 * The steps of a rollout: a version goes to a few nodes, then to more, then to all, as long as what they tell is good.
 * Pure: who is asked decides by what is stored, a clock and a verdict, so that cron and operators decide alike.
 */

import { fail, ok, type Result } from '../lib/result.ts'
import { isInShare } from './share.ts'
import { NodeSet } from './node-set.ts'

/**
 * `running`: the step's time is not over. `waiting`: it is over, and the gates hold. `paused`: by an operator; members
 * keep the version. `halted`: by a gate or an operator; no node gets it any more. The last two are for ever.
 */
export const ROLLOUT_STATES = ['running', 'waiting', 'paused', 'halted', 'complete', 'rolled-back'] as const
export type RolloutState = (typeof ROLLOUT_STATES)[number]

export interface RolloutStep {
  /** Of the nodes, by a stable hash; together with those before. */
  percent: number
  /** How long the step lasts at least. */
  waitS: number
}

/** What of a plan decides about steps. */
export interface StepPlan {
  steps: readonly RolloutStep[]
  /** Whether a gate that fails halts it. Else it waits for an operator. */
  autoHalt: boolean
  /** What members get once it is halted: what the others have, or the version still. */
  onHalt: 'rollback' | 'freeze'
}

export interface RolloutProgress {
  state: RolloutState
  /** Index of the step. */
  step: number
  /** When the step began, or went on after a pause. */
  stepSinceMs: number
  /** Its time that was over by then. */
  stepSpentMs: number
  /** Whether members get the version. */
  served: boolean
}

/** What all gates together say: go on, not yet, or never. */
export type Verdict = 'pass' | 'hold' | 'fail'

export type RolloutMove =
  | { kind: 'look'; verdict: Verdict }
  | { kind: 'advance' | 'pause' | 'resume' | 'halt' | 'rollback' }

/** Where a rollout is at its start. */
export function firstProgress(nowMs: number): RolloutProgress {
  return { state: 'running', step: 0, stepSinceMs: nowMs, stepSpentMs: 0, served: true }
}

/** Whether it is over: others may follow, and nothing but a rollback changes it. */
export function isOver({ state, served }: Pick<RolloutProgress, 'state' | 'served'>): boolean {
  return state === 'complete' || state === 'rolled-back' || (state === 'halted' && !served)
}

/** How much of the step's time is over. A paused step stands still. */
export function stepTimeMs(progress: RolloutProgress, nowMs: number): number {
  const { state, stepSinceMs, stepSpentMs } = progress
  return state === 'paused' ? stepSpentMs : stepSpentMs + Math.max(0, nowMs - stepSinceMs)
}

/**
 * Where a move leads; null: nowhere, and nothing is to be stored. The reason says why a move is not possible, in words
 * for operators.
 */
export function movedBy(
  plan: StepPlan,
  progress: RolloutProgress,
  move: RolloutMove,
  nowMs: number,
): Result<RolloutProgress | null, string> {
  const { state } = progress
  if (move.kind === 'rollback') return ok(state === 'rolled-back' ? null : takenBack(progress))
  if (isOver(progress)) return move.kind === 'look' ? ok(null) : fail(`is ${state}: start another one`)
  const goesOn = state === 'running' || state === 'waiting'
  switch (move.kind) {
    case 'look':
      return ok(goesOn ? lookedAt(plan, progress, move.verdict, nowMs) : null)
    case 'advance':
      return goesOn ? ok(nextStep(plan, progress, nowMs)) : fail(`is ${state}: resume it first`)
    case 'pause':
      return goesOn
        ? ok({ ...progress, state: 'paused', stepSpentMs: stepTimeMs(progress, nowMs) })
        : fail(`is ${state} already`)
    case 'resume':
      return goesOn ? fail(`is ${state}: nothing stops it`) : ok(resumed(progress, nowMs))
    case 'halt':
      return state === 'halted' ? ok(null) : ok(halted(plan, progress))
  }
}

function lookedAt(
  plan: StepPlan,
  progress: RolloutProgress,
  verdict: Verdict,
  nowMs: number,
): RolloutProgress | null {
  if (verdict === 'fail' && plan.autoHalt) return halted(plan, progress)
  const waitMs = (plan.steps[progress.step]?.waitS ?? 0) * 1_000
  if (stepTimeMs(progress, nowMs) < waitMs) return null
  if (verdict === 'pass') return nextStep(plan, progress, nowMs)
  return progress.state === 'waiting' ? null : { ...progress, state: 'waiting' }
}

function nextStep({ steps }: StepPlan, progress: RolloutProgress, nowMs: number): RolloutProgress {
  const step = progress.step + 1
  if (step >= steps.length) return { ...progress, state: 'complete' }
  return { ...progress, state: 'running', step, stepSinceMs: nowMs, stepSpentMs: 0 }
}

/** A step that was halted begins anew: what its nodes tell has to be looked at again. */
function resumed(progress: RolloutProgress, nowMs: number): RolloutProgress {
  const stepSpentMs = progress.state === 'halted' ? 0 : progress.stepSpentMs
  return { ...progress, state: 'running', stepSinceMs: nowMs, stepSpentMs }
}

function halted({ onHalt }: StepPlan, progress: RolloutProgress): RolloutProgress {
  return { ...progress, state: 'halted', served: onHalt === 'freeze' }
}

function takenBack(progress: RolloutProgress): RolloutProgress {
  return { ...progress, state: 'rolled-back', served: false }
}

/** The members of a step: all who were members before, and its share of the nodes that are there. */
export function membersOfStep(step: RolloutStep, before: NodeSet, everyone: NodeSet): NodeSet {
  const members = new NodeSet()
  members.addAll(before)
  members.addAll(everyone.filter((ordinal) => isInShare(ordinal, step.percent)))
  return members
}
