import { describe, expect, it } from 'vitest'
import { isInShare } from '../../src/fleet/share.ts'
import { SPLAY_BUCKETS, splayBucketOf } from '../../src/fleet/splay.ts'

const ORDINALS = Array.from({ length: 20_000 }, (_, ordinal) => ordinal)
const share = (percent: number) => ORDINALS.filter((ordinal) => isInShare(ordinal, percent))

describe('a share of the fleet', () => {
  it.each([
    [100, 1],
    [200, 10],
    [5_000, 1],
    [20_000, 50],
  ])('of %d nodes has about so many percent of them: %d', (nodes, percent) => {
    const members = share(percent).filter((ordinal) => ordinal < nodes)
    expect(Math.abs(members.length - (nodes * percent) / 100)).toBeLessThanOrEqual(2)
  })

  it('holds nodes of all splay buckets', () => {
    expect(new Set(share(1).map(splayBucketOf)).size).toBe(SPLAY_BUCKETS)
  })

  it('of 100 % is everybody', () => {
    expect(share(100)).toEqual(ORDINALS)
  })

  it('holds every smaller share', () => {
    const half = new Set(share(50))
    expect(share(10).every((ordinal) => half.has(ordinal))).toBe(true)
  })
})
