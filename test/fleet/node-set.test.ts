import { describe, expect, it } from 'vitest'
import { NodeSet, ORDINALS_PER_CHUNK } from '../../src/fleet/node-set.ts'

const EDGES = [0, 7, 8, ORDINALS_PER_CHUNK - 1, ORDINALS_PER_CHUNK, 3 * ORDINALS_PER_CHUNK + 5, 999_999]

describe('a node set', () => {
  it('has what was added and nothing beside it, in ascending order', () => {
    const set = NodeSet.of([...EDGES].reverse())
    expect([...set]).toEqual(EDGES)
    expect(set.size).toBe(EDGES.length)
    for (const ordinal of [1, 6, 9, ORDINALS_PER_CHUNK - 2, ORDINALS_PER_CHUNK + 1, 1_000_000]) {
      expect(set.has(ordinal)).toBe(false)
    }
  })

  it('survives both of its stored forms', () => {
    const set = NodeSet.of(EDGES)
    expect([...NodeSet.fromBytes(set.toBytes())]).toEqual(EDGES)
    expect([...NodeSet.ofChunks(set.chunks())]).toEqual(EDGES)
    expect([...NodeSet.fromBytes(new NodeSet().toBytes())]).toEqual([])
  })

  it('gives equal bytes for equal sets, however they were made', () => {
    const grown = NodeSet.of([...EDGES, 500, 70_000])
    grown.delete(500)
    grown.delete(70_000)
    grown.delete(123_456_789)
    expect(grown.toBytes()).toEqual(NodeSet.of(EDGES).toBytes())
  })

  it('does not share memory with what it was read from', () => {
    const bytes = NodeSet.of([3]).toBytes()
    const set = NodeSet.fromBytes(bytes)
    bytes.fill(0xff)
    expect([...set]).toEqual([3])
  })

  it('filters and unites', () => {
    const even = NodeSet.of(EDGES).filter((ordinal) => ordinal % 2 === 0)
    const rest = NodeSet.of(EDGES).filter((ordinal) => ordinal % 2 === 1)
    expect(even.size + rest.size).toBe(EDGES.length)
    even.addAll(rest)
    expect([...even]).toEqual(EDGES)
  })

  it('keeps what two sets share, or what the other has not', () => {
    const other = [7, ORDINALS_PER_CHUNK, 2 * ORDINALS_PER_CHUNK, 999_999, 4_000_000]
    const both = NodeSet.of(EDGES)
    both.retainAll(NodeSet.of(other))
    expect([...both]).toEqual([7, ORDINALS_PER_CHUNK, 999_999])
    const rest = NodeSet.of(EDGES)
    rest.deleteAll(NodeSet.of(other))
    expect([...rest]).toEqual(EDGES.filter((ordinal) => !other.includes(ordinal)))
    rest.addAll(both)
    expect(rest.toBytes()).toEqual(NodeSet.of(EDGES).toBytes())
  })

  it('refuses bytes of an unknown format', () => {
    expect(() => NodeSet.fromBytes(new Uint8Array([9]))).toThrow()
    expect(() => NodeSet.fromBytes(new Uint8Array(0))).toThrow()
  })

  it('keeps a million nodes in 125 KB', () => {
    const set = new NodeSet()
    for (let ordinal = 0; ordinal < 1_000_000; ordinal += 1) set.add(ordinal)
    expect(set.size).toBe(1_000_000)
    expect(set.toBytes().length).toBeLessThan(126_000)
  })
})
