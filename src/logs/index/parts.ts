/** What is kept of every node lies in parts by node id, so that a step touches little of it and no row gets too long. */

const PART_DIGITS = 2
const PARTS = 64
/** A text of a Durable Object's table has 2 MB (Durable Objects limits). */
export const MAX_PART_BYTES = 1_900_000

/** The part of a node; lines of no node are in the first. */
export function partOf(nodeId: string): number {
  return (Number.parseInt(nodeId.slice(0, PART_DIGITS), 16) || 0) % PARTS
}
