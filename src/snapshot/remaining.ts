/** Which nodes a query still waits for, put together from what its answer shards reported. Pure. */

import { NodeSet } from '../fleet/node-set.ts'
import type { Bytes } from '../lib/bytes.ts'
import type { QueryDefinition } from './compile.ts'

/** The shard of a query that a node's answer belongs to. */
export function shardOf(ordinal: number, shards: number): number {
  return ordinal % shards
}

/** The targets of a query, less those that their shards report as answered. A silent shard's nodes all remain. */
export function remainingOf(query: QueryDefinition, reported: ReadonlyMap<number, Bytes>): NodeSet {
  const targets = NodeSet.fromBytes(query.targets)
  if (reported.size === 0) return targets
  const sets = new Map([...reported].map(([shard, bits]) => [shard, NodeSet.fromBytes(bits)]))
  return targets.filter((ordinal) => sets.get(shardOf(ordinal, query.shards))?.has(ordinal) ?? true)
}
