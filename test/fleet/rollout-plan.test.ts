import { describe, expect, it } from 'vitest'
import { NodeSet } from '../../src/fleet/node-set.ts'
import { DEFAULT_STEPS, planOf, stepsThatCount } from '../../src/fleet/rollout-plan.ts'

const fleetOf = (nodes: number) => NodeSet.of(Array.from({ length: nodes }, (_, ordinal) => ordinal))
const percents = (steps: readonly { percent: number }[]) => steps.map(({ percent }) => percent)

describe('the plan of a rollout', () => {
  it('is 1, 10, 50 and 100 % with waits and auto-halt where nothing is said', () => {
    const plan = planOf({}, true)
    expect(percents(plan.steps)).toEqual([1, 10, 50, 100])
    expect(plan.steps.every(({ waitS }) => waitS > 0)).toBe(true)
    expect(plan).toMatchObject({ canary: null, autoHalt: true, onHalt: 'rollback', whenUnknown: 'hold' })
  })

  it('begins with the canary, and leaves out smaller steps than a canary by percent', () => {
    expect(percents(planOf({ canary: { percent: 5 } }, true).steps)).toEqual([5, 10, 50, 100])
    expect(percents(planOf({ canary: { tags: ['canary'] } }, true).steps)).toEqual([0, 1, 10, 50, 100])
    const steps = [{ percent: 100, waitS: 0 }]
    expect(planOf({ canary: { percent: 1 }, steps }, true).steps).toEqual([
      { percent: 1, waitS: 0 },
      ...steps,
    ])
  })

  it('compares no costs where nodes report none, unless told to', () => {
    expect(planOf({}, false).gates).toMatchObject({
      cpu: null,
      memory: null,
      logVolume: null,
      denylisted: 0.02,
    })
    expect(planOf({ gates: { cpu: 3 } }, false).gates.cpu).toBe(3)
    expect(planOf({ gates: { denylisted: null } }, true).gates.denylisted).toBeNull()
  })

  it('lets members report their costs some times a step, and not more than once a minute', () => {
    expect(planOf({}, true).costIntervalS).toBe(450)
    expect(planOf({ steps: [{ percent: 100, waitS: 60 }] }, true).costIntervalS).toBe(60)
    expect(planOf({ steps: [{ percent: 100, waitS: 0 }] }, true).costIntervalS).toBe(3_600)
  })
})

describe('steps', () => {
  it('that bring no further node are left out', () => {
    const none = new NodeSet()
    expect(percents(stepsThatCount(DEFAULT_STEPS, none, fleetOf(5_000)))).toEqual([1, 10, 50, 100])
    expect(percents(stepsThatCount(DEFAULT_STEPS, none, fleetOf(20)))).toEqual([10, 50, 100])
    expect(stepsThatCount(DEFAULT_STEPS, none, fleetOf(0))).toEqual([])
    expect(
      percents(stepsThatCount([{ percent: 0, waitS: 1 }, ...DEFAULT_STEPS], fleetOf(1), fleetOf(1))),
    ).toEqual([0])
  })
})
