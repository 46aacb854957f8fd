/**
 * Which layers of a configuration a node gets: by its platform, which its key says, or by node sets. Pure. Layers are
 * numbered by their order; a mask has a bit for each one that applies.
 */

import { NodeSet } from './node-set.ts'
import type { PlatformFamily } from './platform.ts'

/** More would be more documents than an environment's object should hold (one for each combination). */
export const MAX_COMBINATIONS = 64

/** Whom a layer is for, as operators write it: the nodes of a platform, those with a tag, those of a saved node set. */
export type LayerMatch = { platform: PlatformFamily } | { tag: string } | { nodeSet: string }

/** The same as the edge knows it. */
export type LayerSelector = { platform: PlatformFamily } | { part: string }

/**
 * The layers that apply to a node. `setOf` gives the members of a part; undefined where it is not at hand, and then the
 * mask is undefined too.
 */
export function layerMaskOf(
  selectors: readonly LayerSelector[],
  node: { platformFamily: PlatformFamily; ordinal: number },
  setOf: (part: string) => NodeSet | undefined,
): number | undefined {
  let mask = 0
  for (const [index, selector] of selectors.entries()) {
    if ('platform' in selector) {
      if (selector.platform === node.platformFamily) mask |= 1 << index
      continue
    }
    const set = setOf(selector.part)
    if (set === undefined) return undefined
    if (set.has(node.ordinal)) mask |= 1 << index
  }
  return mask
}

/** What a compiler knows of a layer: its platform, or its members now. */
export type LayerMembers = { platform: PlatformFamily } | { members: NodeSet }

/**
 * Every mask that some node has or that one which enrolls tomorrow may get: each platform, over each way in which
 * today's node sets overlap. Ascending.
 */
export function masksInUse(layers: readonly LayerMembers[]): number[] {
  // The nodes that are in some set, parted by the sets that they are in. Who is in none has mask 0.
  let cells: { mask: number; members: NodeSet }[] = []
  for (const [index, layer] of layers.entries()) {
    if (!('members' in layer)) continue
    const rest = copyOf(layer.members)
    const parted: typeof cells = []
    for (const { mask, members } of cells) {
      const inside = copyOf(members)
      inside.retainAll(layer.members)
      const outside = copyOf(members)
      outside.deleteAll(layer.members)
      rest.deleteAll(members)
      if (inside.size > 0) parted.push({ mask: mask | (1 << index), members: inside })
      if (outside.size > 0) parted.push({ mask, members: outside })
    }
    if (rest.size > 0) parted.push({ mask: 1 << index, members: rest })
    cells = parted
  }
  return masksOver([0, ...cells.map(({ mask }) => mask)], platformMasks(layers))
}

/** Every mask that is thinkable: what has to be valid before it is saved. */
export function possibleMasks(layers: readonly ({ platform: PlatformFamily } | object)[]): number[] {
  let sets = [0]
  for (const [index, layer] of layers.entries())
    if (!('platform' in layer)) sets = [...sets, ...sets.map((mask) => mask | (1 << index))]
  return masksOver(sets, platformMasks(layers))
}

/** A node has one platform: the masks of each that a layer names, and of all others. */
function platformMasks(layers: readonly ({ platform: PlatformFamily } | object)[]): number[] {
  const masks = new Map<PlatformFamily, number>()
  for (const [index, layer] of layers.entries())
    if ('platform' in layer) masks.set(layer.platform, (masks.get(layer.platform) ?? 0) | (1 << index))
  return [0, ...masks.values()]
}

function masksOver(sets: readonly number[], platforms: readonly number[]): number[] {
  const masks = new Set(sets.flatMap((set) => platforms.map((platform) => set | platform)))
  return [...masks].sort((a, b) => a - b)
}

function copyOf(set: NodeSet): NodeSet {
  const copy = new NodeSet()
  copy.addAll(set)
  return copy
}
