import { describe, expect, it } from 'vitest'
import {
  activeOf,
  following,
  isOn,
  nextEndOf,
  NO_BROWNOUT,
  stretchOf,
  type Brownout,
} from '../../src/fleet/brownout.ts'

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

  it('remembers whether intervals ever were longer, whatever it is turned to', () => {
    const everOn = (...turns: Brownout[]) => {
      const own = turns.reduce<Brownout | null>(following, null)
      return stretchOf({ sequence: 1, own, deployment: null }, 0).everOn
    }
    const off = { ...ON, on: false }
    const plain = { ...ON, intervalFactor: 1 }
    expect(everOn(off)).toBe(false)
    expect(everOn(plain, off)).toBe(false)
    expect(everOn(ON, off)).toBe(true)
    expect(everOn(ON, plain, off)).toBe(true)
    // Turned by a Worker of before, which noted nothing of it.
    const old = { sequence: 1, own: off, deployment: null }
    expect(stretchOf(old, 0).everOn).toBe(true)
  })
})
