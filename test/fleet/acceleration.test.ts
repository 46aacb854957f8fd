import { describe, expect, it } from 'vitest'
import { accelerateLeaseS, acceleratedNodes, accelerationCap } from '../../src/fleet/acceleration.ts'
import { NodeSet } from '../../src/fleet/node-set.ts'

function range(from: number, to: number): NodeSet {
  return NodeSet.of(Array.from({ length: to - from }, (_, index) => from + index))
}

describe('how many nodes may be accelerated', () => {
  it.each([
    ['a tenth of a large fleet', 50_000, 0.1, 5_000],
    ['a hundred of any fleet', 20, 0.1, 100],
    ['no more than one object can feed', 1_000_000, 0.5, 20_000],
    ['none where the share is zero', 1_000, 0, 0],
  ] as const)('%s', (_name, nodeCount, share, expected) => {
    expect(accelerationCap(nodeCount, share)).toBe(expected)
  })
})

describe('which nodes are accelerated', () => {
  it('all of a small query', () => {
    expect([...acceleratedNodes([range(5, 15)], 100)]).toEqual([...range(5, 15)])
  })

  it('no more than the cap of a large one, and the same ones each time', () => {
    const first = acceleratedNodes([range(0, 20_000)], 1_000)
    expect(first.size).toBe(1_000)
    expect(acceleratedNodes([range(0, 20_000)], 1_000).toBytes()).toEqual(first.toBytes())
  })

  it('spread over the fleet, not its oldest nodes', () => {
    const chosen = [...acceleratedNodes([range(0, 20_000)], 1_000)]
    expect(chosen.filter((ordinal) => ordinal < 10_000).length).toBeGreaterThan(400)
    expect(chosen.filter((ordinal) => ordinal < 10_000).length).toBeLessThan(600)
  })

  it('small queries whole before a large one gets the rest', () => {
    const chosen = acceleratedNodes([range(0, 20_000), range(30_000, 30_050)], 100)
    expect(chosen.size).toBe(100)
    expect([...range(30_000, 30_050)].every((ordinal) => chosen.has(ordinal))).toBe(true)
  })

  it('keeps most of its choice while the fleet grows', () => {
    const before = acceleratedNodes([range(0, 10_000)], 1_000)
    const after = acceleratedNodes([range(0, 10_100)], 1_000)
    expect([...before].filter((ordinal) => after.has(ordinal)).length).toBeGreaterThan(950)
  })
})

describe('what an agent is told', () => {
  it.each([
    [600_000, 0, 60],
    [30_500, 0, 31],
    [5, 5, 0],
    [0, 5_000, 0],
  ])('until %i at %i: %i seconds', (untilMs, nowMs, expected) => {
    expect(accelerateLeaseS(untilMs, nowMs)).toBe(expected)
  })
})
