/** Which nodes are in which of several sets, counted. Pure. */

import { NodeSet } from './node-set.ts'

/** Nodes that are in the same sets: the mask has bit i where they are in the i-th one. */
export interface Cell {
  mask: number
  nodes: number
}

/** Parts all nodes by the sets they are in. What a set has beyond them does not count. At most 31 sets. */
export function cellsOf(everyone: NodeSet, sets: readonly NodeSet[]): Cell[] {
  let cells = [{ mask: 0, members: copyOf(everyone) }]
  for (const [index, set] of sets.entries()) {
    cells = cells.flatMap(({ mask, members }) => {
      const inside = copyOf(members)
      inside.retainAll(set)
      members.deleteAll(inside)
      return [
        { mask, members },
        { mask: mask | (1 << index), members: inside },
      ].filter((cell) => cell.members.size > 0)
    })
  }
  return cells.map(({ mask, members }) => ({ mask, nodes: members.size }))
}

function copyOf(set: NodeSet): NodeSet {
  const copy = new NodeSet()
  copy.addAll(set)
  return copy
}
