import { describe, expect, it } from 'vitest'
import { isSuperseded, supersededBytes } from '../../src/fleet/superseded.ts'

const ENTRIES = [7, 0, 4_000_000_000, 12, 13].map((ordinal) => ({
  ordinal,
  minimumIssuedAtS: 1_000 + (ordinal % 7),
}))

describe('superseded keys', () => {
  it('are those of a node that was split, issued before its second', () => {
    const part = supersededBytes(ENTRIES)
    for (const { ordinal, minimumIssuedAtS } of ENTRIES) {
      expect(isSuperseded(part, ordinal, minimumIssuedAtS - 1)).toBe(true)
      expect(isSuperseded(part, ordinal, minimumIssuedAtS)).toBe(false)
    }
  })

  it('are none of any other node', () => {
    const part = supersededBytes(ENTRIES)
    for (const ordinal of [1, 6, 8, 11, 14, 4_294_967_295]) expect(isSuperseded(part, ordinal, 0)).toBe(false)
    expect(isSuperseded(supersededBytes([]), 0, 0)).toBe(false)
  })

  it('are none that are known where a newer Worker wrote the part (R3)', () => {
    const part = supersededBytes(ENTRIES)
    part[0] = 2
    expect(isSuperseded(part, 7, 0)).toBe(false)
  })

  it('are found wherever the bytes lie in memory', () => {
    const part = supersededBytes(ENTRIES)
    const inside = new Uint8Array(part.length + 3)
    inside.set(part, 3)
    expect(isSuperseded(inside.subarray(3), 12, 0)).toBe(true)
  })
})
