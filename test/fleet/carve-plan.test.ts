import { describe, expect, it } from 'vitest'
import {
  blockBytes,
  blocksOfPart,
  blocksPerPart,
  MAX_PARTS,
  MIN_PART_BYTES,
  partCount,
  partOfBlock,
  planCarve,
  type CarvePlan,
} from '../../src/fleet/carve-plan.ts'

const KIB = 1_024
const MIB = 1_024 * KIB
const GIB = 1_024 * MIB
const ids = { carveId: 'f0e1d2c3-7a6b-4c5d-9e8f-001122334455', requestId: '' }

function planned(blockSize: number, carveSize: number): CarvePlan {
  const announced = { ...ids, blockSize, carveSize, blockCount: Math.ceil(carveSize / blockSize) }
  const plan = planCarve(announced)
  if (!plan.ok) throw new Error(plan.reason.kind)
  return plan.value
}

describe('what an agent announces', () => {
  it.each([
    [4 * KIB, 1],
    [4 * KIB, 10_240],
    [8 * KIB, 8 * GIB],
    [64 * KIB, 3_002_880],
    [16 * MIB, 8 * GIB],
    [16 * MIB, 1],
    [3, 8],
  ])('may have blocks of %i bytes and %i bytes in all', (blockSize, carveSize) => {
    expect(planned(blockSize, carveSize)).toMatchObject({ blockSize, carveSize })
  })

  it.each([
    ['a carve of nothing', { carveSize: 0, blockCount: 0 }, 'carve-size'],
    ['more than 8 GiB', { blockSize: 16 * MIB, carveSize: 8 * GIB + 1, blockCount: 513 }, 'carve-size'],
    ['a negative size', { carveSize: -1 }, 'carve-size'],
    ['blocks of more than 16 MiB', { blockSize: 16 * MIB + 1, carveSize: 1, blockCount: 1 }, 'block-size'],
    ['blocks of nothing', { blockSize: 0 }, 'block-size'],
    ['a million tiny blocks', { blockSize: 1, carveSize: MIB, blockCount: MIB }, 'block-size'],
    ['too few blocks', { blockCount: 2 }, 'block-count'],
    ['too many blocks', { blockCount: 4 }, 'block-count'],
    ['no block size', { blockSize: null }, 'not-a-number'],
    ['no block count', { blockCount: null }, 'not-a-number'],
    ['no carve size', { carveSize: null }, 'not-a-number'],
    ['no carve id', { carveId: '' }, 'bad-id'],
    ['an endless carve id', { carveId: 'x'.repeat(256) }, 'bad-id'],
    ['an endless request id', { requestId: 'x'.repeat(256) }, 'bad-id'],
  ])('must not be %s', (_what, change, kind) => {
    const sound = { ...ids, blockSize: 4_096, carveSize: 10_240, blockCount: 3 }
    expect(planCarve({ ...sound, ...change })).toMatchObject({ ok: false, reason: { kind } })
  })
})

describe('blocks', () => {
  it('are all of one size but the last', () => {
    const plan = planned(4_096, 10_240)
    expect([-1, 0, 1, 2, 3, 0.5].map((id) => blockBytes(plan, id))).toEqual([
      null,
      4_096,
      4_096,
      2_048,
      null,
      null,
    ])
    expect(blockBytes(planned(4_096, 8_192), 1)).toBe(4_096)
  })
})

describe('parts', () => {
  const sizes = [
    1,
    4 * KIB,
    5_000,
    8 * KIB,
    64 * KIB,
    1 * MIB,
    3 * MIB,
    5 * MIB - 1,
    5 * MIB,
    8 * MIB,
    16 * MIB,
  ]
  const cases = sizes.flatMap((blockSize) =>
    [1, blockSize, blockSize * 3 - 1, 12 * MIB, 100 * MIB + 7, 8 * GIB]
      .filter((carveSize) => blockSize >= 4 * KIB || carveSize <= 1_024)
      .map((carveSize) => planned(blockSize, carveSize)),
  )

  it('are as R2 wants them: equal, 5 MiB or more, the last not larger, at most 10,000', () => {
    for (const plan of cases) {
      const count = partCount(plan)
      const parts = Array.from({ length: count }, (_, index) => blocksOfPart(plan, index + 1))
      const whole = blocksPerPart(plan) * plan.blockSize
      expect(count).toBeLessThanOrEqual(MAX_PARTS)
      expect(whole).toBeGreaterThanOrEqual(MIN_PART_BYTES)
      expect(parts.slice(0, -1).every(({ bytes }) => bytes === whole)).toBe(true)
      expect(parts.at(-1)?.bytes).toBeGreaterThan(0)
      expect(parts.at(-1)?.bytes).toBeLessThanOrEqual(whole)
      expect(parts.reduce((total, { bytes }) => total + bytes, 0)).toBe(plan.carveSize)
      expect(parts.reduce((total, { blocks }) => total + blocks, 0)).toBe(plan.blockCount)
      expect(partOfBlock(plan, 0)).toBe(1)
      expect(partOfBlock(plan, plan.blockCount - 1)).toBe(count)
    }
  })
})
