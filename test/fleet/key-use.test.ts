import { describe, expect, it } from 'vitest'
import { GRACE_S, noteKeyUse, twoKeysOf, type KeySighting, type KeyUse } from '../../src/fleet/key-use.ts'

type Seen = readonly [key: 'a' | 'b' | 'c', atS: number]

/** What comes of sightings: `a` was issued at second 0, `b` at 1,000, `c` at 2,000. */
function seen(...sightings: readonly Seen[]) {
  let use: KeyUse | null = null
  for (const [key, atS] of sightings) {
    const sighting: KeySighting = { issuedS: { a: 0, b: 1_000, c: 2_000 }[key], atS }
    use = noteKeyUse(use, sighting)
  }
  return use === null ? null : twoKeysOf(use)
}

describe('one machine', () => {
  it.each<[string, readonly Seen[]]>([
    [
      'with one key',
      [
        ['a', 1],
        ['a', 60],
        ['a', 90_000],
      ],
    ],
    [
      'that enrolled anew: lost database, new OS',
      [
        ['a', 990],
        ['b', 1_001],
        ['b', 1_100],
        ['b', 5_000],
      ],
    ],
    [
      'whose requests were under way when it enrolled',
      [
        ['b', 1_001],
        ['a', 1_002],
        ['b', 1_003],
        ['a', 1_059],
      ],
    ],
    [
      'whose enroll was sent twice and which kept the first key',
      [
        ['a', 1_100],
        ['a', 1_200],
        ['a', 1_300],
      ],
    ],
    [
      'that was set back to a snapshot',
      [
        ['b', 1_100],
        ['a', 1_200],
        ['a', 1_300],
        ['a', 9_000],
      ],
    ],
    [
      'that was set back, and enrolled anew',
      [
        ['b', 1_100],
        ['a', 1_200],
        ['c', 2_001],
        ['c', 2_100],
      ],
    ],
    [
      'that is set back every other day',
      [
        ['b', 1_100],
        ['a', 90_000],
        ['b', 180_000],
        ['a', 270_000],
        ['b', 360_000],
      ],
    ],
    [
      'whose sightings come late',
      [
        ['b', 1_200],
        ['a', 1_000],
        ['b', 1_300],
        ['a', 1_001],
        ['b', 1_400],
        ['a', 1_002],
      ],
    ],
  ])('%s', (_name, sightings) => {
    expect(seen(...sightings)).toBeNull()
  })
})

describe('two machines', () => {
  it('go to and fro between their keys', () => {
    expect(seen(['a', 1], ['b', 1_001], ['a', 1_070], ['b', 1_080], ['a', 1_130])).toEqual({
      olderS: 0,
      newerS: 1_000,
    })
  })

  it('are known also when the newer key was seen only later', () => {
    expect(seen(['a', 1_070], ['a', 1_130], ['b', 1_140], ['a', 1_190], ['b', 1_200], ['a', 1_250])).toEqual({
      olderS: 0,
      newerS: 1_000,
    })
  })

  it('of three the newest key counts as the newer one', () => {
    const three = seen(['a', 1], ['b', 1_100], ['c', 2_001], ['a', 2_100], ['c', 2_110], ['b', 2_120])
    expect(three).toEqual({ olderS: 1_000, newerS: 2_000 })
  })

  it('are counted anew from each enroll on', () => {
    expect(seen(['b', 1_100], ['a', 1_110], ['b', 1_120], ['c', 2_000], ['b', 2_100])).toBeNull()
  })

  it(`are not known within ${GRACE_S} s of the second enroll`, () => {
    expect(
      seen(['b', 1_001], ['a', 1_010], ['b', 1_020], ['a', 1_030], ['b', 1_040], ['a', 1_059]),
    ).toBeNull()
  })
})
