import { describe, expect, it } from 'vitest'
import { layerMaskOf, masksInUse, possibleMasks, type LayerMembers } from '../../src/fleet/layers.ts'
import { NodeSet } from '../../src/fleet/node-set.ts'

const LAYERS: LayerMembers[] = [
  { platform: 'linux' },
  { members: NodeSet.of([1, 2, 3]) },
  { platform: 'darwin' },
  { members: NodeSet.of([3, 4]) },
]
const sets: Record<string, NodeSet> = { one: NodeSet.of([1, 2, 3]), three: NodeSet.of([3, 4]) }
const SELECTORS = [{ platform: 'linux' }, { part: 'one' }, { platform: 'darwin' }, { part: 'three' }] as const

describe('the layers of a node', () => {
  it.each([
    ['linux', 0, 0b0001],
    ['linux', 3, 0b1011],
    ['darwin', 4, 0b1100],
    ['windows', 1, 0b0010],
    ['unknown', 9, 0b0000],
  ] as const)('on %s with ordinal %d are %d', (platformFamily, ordinal, mask) => {
    expect(layerMaskOf(SELECTORS, { platformFamily, ordinal }, (part) => sets[part])).toBe(mask)
  })

  it('are not known while a set is not at hand', () => {
    const node = { platformFamily: 'linux', ordinal: 1 } as const
    expect(layerMaskOf(SELECTORS, node, () => undefined)).toBeUndefined()
  })
})

describe('masks', () => {
  it('in use are each overlap of sets that has members, on each platform', () => {
    const overlaps = [0b0000, 0b0010, 0b1010, 0b1000]
    const expected = overlaps.flatMap((mask) => [mask, mask | 0b0001, mask | 0b0100])
    expect(masksInUse(LAYERS)).toEqual(expected.sort((a, b) => a - b))
  })

  it('hold every node of a fleet', () => {
    const masks = new Set(masksInUse(LAYERS))
    for (const platformFamily of ['linux', 'darwin', 'windows'] as const) {
      for (let ordinal = 0; ordinal < 10; ordinal += 1) {
        const mask = layerMaskOf(SELECTORS, { platformFamily, ordinal }, (part) => sets[part])
        expect(masks.has(mask ?? -1)).toBe(true)
      }
    }
  })

  it('that are possible hold those in use, and a node has one platform', () => {
    const possible = possibleMasks(LAYERS)
    expect(possible).toHaveLength(4 * 3)
    expect(masksInUse(LAYERS).every((mask) => possible.includes(mask))).toBe(true)
    expect(possibleMasks([])).toEqual([0])
    expect(possibleMasks([{ platform: 'linux' }, { platform: 'linux' }])).toEqual([0, 0b11])
  })

  it('do not join sets that share nobody', () => {
    const apart: LayerMembers[] = [
      { members: NodeSet.of([1]) },
      { members: NodeSet.of([2]) },
      { members: new NodeSet() },
    ]
    expect(masksInUse(apart)).toEqual([0, 0b01, 0b10])
  })
})
