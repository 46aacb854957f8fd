import { describe, expect, it } from 'vitest'
import { changesOf, makePlan, planText, stateAt } from './plan.ts'

const CLASSES = ['Directory', 'Environment', 'Presence', 'AnswerShard']
const MODES = ['evict', 'throw', 'overloaded']
const SHORT = { seed: '7', lastsMs: 60_000, classes: CLASSES }
const LONG = { ...SHORT, lastsMs: 600_000 }

describe('a plan', () => {
  it('is the same for the same seed, and another for another', () => {
    expect(makePlan(SHORT)).toEqual(makePlan(SHORT))
    expect(planText(makePlan(SHORT))).not.toBe(planText(makePlan({ ...SHORT, seed: '8' })))
  })

  it.each([SHORT, LONG])(
    'has every object in every mode, every fault of the platform and both clocks',
    (options) => {
      const names = makePlan(options).spells.map(({ name }) => name.split(',')[0])
      for (const name of CLASSES) for (const mode of MODES) expect(names).toContain(`object:${name} ${mode}`)
      for (const what of ['d1 fail', 'd1 slow', 'd1 locked', 'r2 fail', 'queue fail', 'consumer fail'])
        expect(names).toContain(what)
      expect(names.some((name) => name?.startsWith('clock +'))).toBe(true)
      expect(names.some((name) => name?.startsWith('clock -'))).toBe(true)
    },
  )

  it.each([SHORT, LONG])(
    'mixes both versions either way, ends with the new one, and kills at least twice',
    (options) => {
      const { blows, start } = makePlan(options)
      expect(start).toEqual({ front: 'old', objects: 'old' })
      const deploys = blows
        .filter(({ name }) => name.startsWith('deploy'))
        .map(({ arrangement }) => arrangement)
      expect(deploys).toContainEqual({ front: 'old', objects: 'new' })
      expect(deploys).toContainEqual({ front: 'new', objects: 'old' })
      expect(blows.at(-1)?.arrangement).toEqual({ front: 'new', objects: 'new' })
      expect(blows.filter(({ name }) => name === 'SIGKILL').length).toBeGreaterThanOrEqual(2)
    },
  )

  it('brings back after a kill what ran before it', () => {
    let present = makePlan(LONG).start
    for (const { arrangement, name } of makePlan(LONG).blows) {
      if (name === 'SIGKILL') expect(arrangement).toEqual(present)
      present = arrangement
    }
  })

  it.each([SHORT, LONG])('is over when it says so: no fault and no wrong clock is left', (options) => {
    const plan = makePlan(options)
    expect(Math.max(...changesOf(plan))).toBeLessThanOrEqual(plan.lastsMs)
    expect(stateAt(plan, plan.lastsMs)).toEqual({ clockMs: 0, faults: [] })
  })

  it('tells what is broken at a time', () => {
    const plan = makePlan(SHORT)
    const [spell] = plan.spells.filter(({ fault }) => fault !== undefined)
    expect(stateAt(plan, spell?.atMs ?? 0).faults).toContainEqual(spell?.fault)
    expect(stateAt(plan, (spell?.atMs ?? 0) + (spell?.lastsMs ?? 0)).faults).not.toContainEqual(spell?.fault)
  })

  it('throws huge bodies three times at most, because they are kept', () => {
    const { junk } = makePlan(LONG)
    expect(junk.filter(({ name }) => name === 'huge-body')).toHaveLength(3)
    expect(new Set(junk.map(({ name }) => name)).size).toBe(19)
  })
})
