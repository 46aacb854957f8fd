import { describe, expect, it } from 'vitest'
import {
  defaultOverS,
  isKeyRevoked,
  MAX_OVER_S,
  settled,
  type KeyRevocation,
} from '../../src/fleet/key-revocation.ts'

const AT_ONCE: KeyRevocation = { issuedBeforeS: 1_000, fromS: 1_000, overS: 0 }
const PACED: KeyRevocation = { issuedBeforeS: 1_000, fromS: 2_000, overS: 1_000 }

function key(part: Partial<Parameters<typeof isKeyRevoked>[1]> = {}) {
  return { ordinal: 5, issuedAtS: 999, keyId: 1, ...part }
}

/** How many of 10,000 nodes a revocation has reached. */
function reachedAt(revocation: KeyRevocation, nowS: number): number {
  let reached = 0
  for (let ordinal = 0; ordinal < 10_000; ordinal += 1)
    if (isKeyRevoked([revocation], key({ ordinal }), nowS)) reached += 1
  return reached
}

describe('a revocation of keys', () => {
  it('reaches keys that were issued before its second, and no others', () => {
    expect(isKeyRevoked([AT_ONCE], key({ issuedAtS: 999 }), 1_000)).toBe(true)
    expect(isKeyRevoked([AT_ONCE], key({ issuedAtS: 1_000 }), 1_000)).toBe(false)
    expect(isKeyRevoked([], key(), 1_000)).toBe(false)
    expect(isKeyRevoked(undefined, key(), 1_000)).toBe(false)
  })

  it('of one signing key leaves keys of others alone', () => {
    const ofOne = { ...AT_ONCE, keyId: 1 }
    expect(isKeyRevoked([ofOne], key({ keyId: 1 }), 1_000)).toBe(true)
    expect(isKeyRevoked([ofOne], key({ keyId: 2 }), 1_000)).toBe(false)
  })

  it('that is paced reaches nobody before it begins, and all when its time is over', () => {
    expect(reachedAt(PACED, 1_999)).toBe(0)
    expect(reachedAt(PACED, 2_000)).toBe(0)
    expect(reachedAt(PACED, 3_000)).toBe(10_000)
    expect(reachedAt(PACED, 9_999)).toBe(10_000)
  })

  it('that is paced grows evenly, and who was reached stays so', () => {
    for (const share of [0.1, 0.25, 0.5, 0.9]) {
      const reached = reachedAt(PACED, 2_000 + share * 1_000)
      expect(Math.abs(reached - share * 10_000)).toBeLessThan(300)
    }
    for (let ordinal = 0; ordinal < 1_000; ordinal += 1) {
      let before = false
      for (let nowS = 2_000; nowS <= 3_000; nowS += 100) {
        const now = isKeyRevoked([PACED], key({ ordinal }), nowS)
        if (before) expect(now).toBe(true)
        before = now
      }
    }
  })

  it('is one of several: each counts', () => {
    expect(isKeyRevoked([PACED, AT_ONCE], key(), 2_000)).toBe(true)
  })
})

describe('the pace by default', () => {
  it.each([
    [0, 0],
    [1_000, 0],
    [1_001, 21],
    [20_000, 400],
    [1_000_000, 20_000],
    [100_000_000, MAX_OVER_S],
  ])('of %i nodes is %i s', (nodes, overS) => {
    expect(defaultOverS(nodes)).toBe(overS)
  })
})

describe('what Workers of before understand', () => {
  it('is the least issue time: revocations at once, of any signing key, are in it', () => {
    expect(settled([AT_ONCE, PACED, { ...AT_ONCE, keyId: 1 }], 5)).toEqual({
      minimumIssuedAtS: 1_000,
      revocations: [PACED, { ...AT_ONCE, keyId: 1 }],
    })
    expect(settled([], 5)).toEqual({ minimumIssuedAtS: 5, revocations: [] })
    expect(settled([AT_ONCE], 5_000).minimumIssuedAtS).toBe(5_000)
  })
})
