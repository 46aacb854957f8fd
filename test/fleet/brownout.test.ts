import { describe, expect, it } from 'vitest'
import { activeOf, isOn, nextEndOf, NO_BROWNOUT, stretchOf, type Brownout } from '../../src/fleet/brownout.ts'

const ON: Brownout = { on: true, reason: 'test', intervalFactor: 4, by: 'alice', atMs: 0, untilMs: null }

describe('a brownout', () => {
  it('is on until it is ended, or its time is over', () => {
    expect(isOn(ON, 1e15)).toBe(true)
    expect(isOn({ ...ON, on: false }, 0)).toBe(false)
    expect(isOn({ ...ON, untilMs: 10 }, 9)).toBe(true)
    expect(isOn({ ...ON, untilMs: 10 }, 10)).toBe(false)
    expect(isOn(null, 0)).toBe(false)
  })

  it('of an environment and of the deployment: the stronger one counts, the first to end is looked for', () => {
    const state = {
      sequence: 2,
      own: { ...ON, untilMs: 10 },
      deployment: { ...ON, intervalFactor: 10, untilMs: 20 },
    }
    expect(stretchOf(state, 0)).toEqual({ factor: 10, everOn: true })
    expect(nextEndOf(state, 0)).toBe(10)
    expect(activeOf(state, 15)).toEqual([state.deployment])
    expect(nextEndOf(state, 15)).toBe(20)
    expect(stretchOf(state, 20)).toEqual({ factor: 1, everOn: true })
    expect(nextEndOf(state, 20)).toBeNull()
  })

  it('that nobody ever turned on changes nothing', () => {
    expect(stretchOf(NO_BROWNOUT, 0)).toEqual({ factor: 1, everOn: false })
    const neverLonger = { sequence: 1, own: { ...ON, intervalFactor: 1 }, deployment: null }
    expect(stretchOf(neverLonger, 0)).toEqual({ factor: 1, everOn: false })
  })
})
