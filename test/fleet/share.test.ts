import { describe, expect, it } from 'vitest'
import { isInShare } from '../../src/fleet/share.ts'

const ORDINALS = Array.from({ length: 20_000 }, (_, ordinal) => ordinal)
const share = (percent: number) => ORDINALS.filter((ordinal) => isInShare(ordinal, percent))

describe('a share of the fleet', () => {
  it.each([1, 10, 50])('of %d %% has about so many nodes', (percent) => {
    const expected = (ORDINALS.length * percent) / 100
    expect(share(percent).length).toBeGreaterThan(0.85 * expected)
    expect(share(percent).length).toBeLessThan(1.15 * expected)
  })

  it('of 100 % is everybody', () => {
    expect(share(100)).toEqual(ORDINALS)
  })

  it('holds every smaller share', () => {
    const half = new Set(share(50))
    expect(share(10).every((ordinal) => half.has(ordinal))).toBe(true)
  })
})
