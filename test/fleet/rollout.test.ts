import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NodeSet } from '../../src/fleet/node-set.ts'
import {
  firstProgress,
  isOver,
  membersOfStep,
  movedBy,
  stepTimeMs,
  type RolloutMove,
  type RolloutProgress,
  type StepPlan,
} from '../../src/fleet/rollout.ts'

const PLAN: StepPlan = {
  steps: [
    { percent: 1, waitS: 60 },
    { percent: 50, waitS: 60 },
  ],
  autoHalt: true,
  onHalt: 'rollback',
}
const START = firstProgress(0)
const pass = { kind: 'look', verdict: 'pass' } as const
const hold = { kind: 'look', verdict: 'hold' } as const
const failed = { kind: 'look', verdict: 'fail' } as const

/** Where a move leads that is possible and changes something. */
function moved(progress: RolloutProgress, move: RolloutMove, nowMs: number, plan = PLAN): RolloutProgress {
  const next = movedBy(plan, progress, move, nowMs)
  if (!next.ok || next.value === null) throw new Error(`${move.kind} leads nowhere`)
  return next.value
}

describe('a rollout', () => {
  it('goes to the next step when the time is over and the gates are good', () => {
    expect(movedBy(PLAN, START, pass, 59_999)).toEqual({ ok: true, value: null })
    expect(moved(START, pass, 60_000)).toMatchObject({ state: 'running', step: 1, stepSinceMs: 60_000 })
    const second = moved(START, pass, 60_000)
    expect(movedBy(PLAN, second, pass, 119_999)).toEqual({ ok: true, value: null })
    expect(moved(second, pass, 120_000)).toMatchObject({ state: 'complete', served: true })
  })

  it('waits where gates hold, and goes on when they do not any more', () => {
    const waiting = moved(START, hold, 60_000)
    expect(waiting).toMatchObject({ state: 'waiting', step: 0 })
    expect(movedBy(PLAN, waiting, hold, 99_000)).toEqual({ ok: true, value: null })
    expect(moved(waiting, pass, 99_000)).toMatchObject({ state: 'running', step: 1 })
  })

  it('halts at once where a gate fails: members get it no more, or keep it', () => {
    expect(moved(START, failed, 1)).toMatchObject({ state: 'halted', served: false })
    const frozen = moved(START, failed, 1, { ...PLAN, onHalt: 'freeze' })
    expect(frozen).toMatchObject({ state: 'halted', served: true })
    expect(isOver(frozen)).toBe(false)
    expect(moved(frozen, { kind: 'resume' }, 5_000)).toMatchObject({
      state: 'running',
      step: 0,
      stepSinceMs: 5_000,
    })
  })

  it('waits for an operator where it may not halt by itself', () => {
    const plan = { ...PLAN, autoHalt: false }
    expect(movedBy(plan, START, failed, 1)).toEqual({ ok: true, value: null })
    expect(moved(START, failed, 60_000, plan)).toMatchObject({ state: 'waiting', served: true })
  })

  it('stands still while it is paused', () => {
    const paused = moved(START, { kind: 'pause' }, 40_000)
    expect(stepTimeMs(paused, 9_000_000)).toBe(40_000)
    expect(movedBy(PLAN, paused, failed, 9_000_000)).toEqual({ ok: true, value: null })
    const resumed = moved(paused, { kind: 'resume' }, 9_000_000)
    expect(movedBy(PLAN, resumed, pass, 9_019_999)).toEqual({ ok: true, value: null })
    expect(moved(resumed, pass, 9_020_000)).toMatchObject({ step: 1, stepSpentMs: 0 })
  })

  it('can be taken back after its end, once', () => {
    const complete = moved(moved(START, pass, 60_000), pass, 120_000)
    const back = moved(complete, { kind: 'rollback' }, 500_000)
    expect(back).toMatchObject({ state: 'rolled-back', served: false })
    expect(movedBy(PLAN, back, { kind: 'rollback' }, 500_001)).toEqual({ ok: true, value: null })
  })

  it.each(['advance', 'pause', 'resume', 'halt'] as const)('that is over cannot %s', (kind) => {
    const over = moved(START, failed, 1)
    expect(movedBy(PLAN, over, { kind }, 2)).toEqual({ ok: false, reason: 'is halted: start another one' })
  })
})

const anyMove: fc.Arbitrary<RolloutMove> = fc.oneof(
  fc.constantFrom(pass, hold, failed),
  fc.constantFrom('advance', 'pause', 'resume', 'halt', 'rollback').map((kind) => ({ kind }) as RolloutMove),
)
const anyPlan: fc.Arbitrary<StepPlan> = fc.record({
  steps: fc
    .uniqueArray(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 6 })
    .map((percents) => percents.sort((a, b) => a - b).map((percent) => ({ percent, waitS: 10 }))),
  autoHalt: fc.boolean(),
  onHalt: fc.constantFrom('rollback' as const, 'freeze' as const),
})
const anyHistory = fc.array(fc.tuple(anyMove, fc.integer({ min: 0, max: 30_000 })), { maxLength: 40 })

describe('whatever happens to a rollout', () => {
  it('it never steps back or by two, and nobody gets it again who was to get it no more', () => {
    fc.assert(
      fc.property(anyPlan, anyHistory, (plan, history) => {
        let [progress, nowMs] = [firstProgress(0), 0]
        for (const [move, laterMs] of history) {
          nowMs += laterMs
          const next = movedBy(plan, progress, move, nowMs)
          if (!next.ok || next.value === null) continue
          expect(next.value.step - progress.step).toBeGreaterThanOrEqual(0)
          expect(next.value.step - progress.step).toBeLessThanOrEqual(1)
          if (next.value.step > progress.step && move.kind === 'look')
            expect(stepTimeMs(progress, nowMs)).toBeGreaterThanOrEqual(10_000)
          if (!progress.served) expect(next.value.served).toBe(false)
          expect(next.value.step).toBeLessThan(plan.steps.length)
          progress = next.value
        }
      }),
    )
  })

  it('the same look again at the same time changes nothing more, but for one step at most', () => {
    fc.assert(
      fc.property(anyPlan, anyHistory, fc.constantFrom(pass, hold, failed), (plan, history, look) => {
        let [progress, nowMs] = [firstProgress(0), 0]
        for (const [move, laterMs] of history) {
          nowMs += laterMs
          const next = movedBy(plan, progress, move, nowMs)
          if (next.ok && next.value !== null) progress = next.value
        }
        const once = movedBy(plan, progress, look, nowMs)
        if (!once.ok || once.value === null) return
        expect(movedBy(plan, once.value, look, nowMs)).toEqual({ ok: true, value: null })
      }),
    )
  })
})

describe('the members of a step', () => {
  it('are all who were members before and the share of those who are there, whoever came and went', () => {
    const ordinals = fc.uniqueArray(fc.integer({ min: 0, max: 5_000 }), { maxLength: 200 })
    fc.assert(
      fc.property(
        anyPlan,
        fc.array(ordinals, { minLength: 6, maxLength: 6 }),
        ordinals,
        (plan, fleets, canary) => {
          let members = NodeSet.of(canary)
          for (const [index, step] of plan.steps.entries()) {
            const everyone = NodeSet.of(fleets[index] ?? [])
            const next = membersOfStep(step, members, everyone)
            for (const ordinal of members) expect(next.has(ordinal)).toBe(true)
            for (const ordinal of next) expect(members.has(ordinal) || everyone.has(ordinal)).toBe(true)
            if (step.percent === 100) for (const ordinal of everyone) expect(next.has(ordinal)).toBe(true)
            members = next
          }
        },
      ),
    )
  })
})
