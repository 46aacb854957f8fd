import { describe, expect, it } from 'vitest'
import { NodeSet } from '../../src/fleet/node-set.ts'
import { remainingOf, shardOf } from '../../src/snapshot/remaining.ts'

const query = (ordinals: readonly number[], shards: number) => ({
  number: 1,
  id: 'q',
  kind: 'query' as const,
  sql: 'SELECT 1',
  shards,
  expiresAtMs: 0,
  targets: NodeSet.of(ordinals).toBytes(),
})
const bits = (...ordinals: number[]) => NodeSet.of(ordinals).toBytes()

describe('whom a query still waits for', () => {
  it('everybody, while no shard has reported', () => {
    expect([...remainingOf(query([0, 1, 2, 3], 2), new Map())]).toEqual([0, 1, 2, 3])
  })

  it('whom their shard still waits for; a silent shard’s nodes all remain', () => {
    const reported = new Map([[1, bits(3)]])
    expect([...remainingOf(query([0, 1, 2, 3], 2), reported)]).toEqual([0, 2, 3])
  })

  it('nobody, once each shard says so', () => {
    const reported = new Map([
      [0, bits()],
      [1, bits()],
    ])
    expect(remainingOf(query([0, 1, 2, 3], 2), reported).size).toBe(0)
  })

  it('never anybody who is no target, whatever a shard says', () => {
    expect([...remainingOf(query([0, 2], 2), new Map([[0, bits(0, 4, 6)]]))]).toEqual([0])
  })
})

it('a node’s shard is the same for everybody who asks, and inside the spread', () => {
  for (const shards of [1, 4, 128]) {
    const used = new Set(Array.from({ length: 1_000 }, (_unused, ordinal) => shardOf(ordinal, shards)))
    expect([used.size, Math.min(...used), Math.max(...used)]).toEqual([shards, 0, shards - 1])
  }
})
