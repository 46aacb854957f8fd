/** Node sets against a plain Set: the same after any steps, and the same bytes for the same members. */

import fc from 'fast-check'
import { expect, it } from 'vitest'
import { NodeSet, ORDINALS_PER_CHUNK } from '../../src/fleet/node-set.ts'
import { check } from './check.ts'

// Dense at the edges of bytes and chunks, where mistakes live.
const ordinal = fc.oneof(
  fc.integer({ min: 0, max: 40 }),
  fc.integer({ min: ORDINALS_PER_CHUNK - 20, max: ORDINALS_PER_CHUNK + 20 }),
  fc.integer({ min: 0, max: 2_000_000 }),
  fc.constantFrom(2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1),
)
const members = fc.array(ordinal, { maxLength: 30 })

type Step = [what: 'add' | 'delete' | 'addAll' | 'keep-even' | 'stored', ordinals: number[]]
const steps = fc.array(
  fc.tuple(
    fc.constantFrom<Step[0]>('add', 'add', 'delete', 'delete', 'addAll', 'keep-even', 'stored'),
    members,
  ),
  { maxLength: 8 },
)

/** Takes one step with both. */
function step(set: NodeSet, model: Set<number>, [what, ordinals]: Step): [NodeSet, Set<number>] {
  const isEven = (member: number) => member % 2 === 0
  switch (what) {
    case 'add':
      for (const member of ordinals) set.add(member)
      return [set, model.union(new Set(ordinals))]
    case 'delete':
      for (const member of ordinals) set.delete(member)
      return [set, model.difference(new Set(ordinals))]
    case 'addAll':
      set.addAll(NodeSet.of(ordinals))
      return [set, model.union(new Set(ordinals))]
    case 'keep-even':
      return [set.filter(isEven), new Set([...model].filter(isEven))]
    case 'stored':
      return [NodeSet.ofChunks(NodeSet.fromBytes(set.toBytes()).chunks().toReversed()), model]
  }
}

it('a node set is a set of ordinals, whatever is done with it', () =>
  check(
    fc.property(steps, members, (taken, asked) => {
      let [set, model] = [new NodeSet(), new Set<number>()]
      for (const one of taken) {
        ;[set, model] = step(set, model, one)
        const sorted = [...model].sort((a, b) => a - b)
        expect([...set]).toEqual(sorted)
        expect(set.size).toBe(model.size)
        for (const member of [...asked, ...one[1]]) expect(set.has(member)).toBe(model.has(member))
        expect(set.toBytes()).toEqual(NodeSet.of(sorted.reverse()).toBytes())
      }
    }),
    400,
  ))

it('different sets have different bytes', () =>
  check(
    fc.property(members, ordinal, (ordinals, other) => {
      const set = NodeSet.of(ordinals)
      const more = NodeSet.of([...ordinals, other])
      const isSame = Buffer.from(set.toBytes()).equals(Buffer.from(more.toBytes()))
      expect(isSame).toBe(ordinals.includes(other))
    }),
    300,
  ))
