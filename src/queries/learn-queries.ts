/** Teaches an AnswerShard the queries that are new to it. */

import { NodeSet } from '../fleet/node-set.ts'
import type { QueryDefinition } from '../snapshot/compile.ts'
import { shardOf } from '../snapshot/remaining.ts'
import type { ShardPlace } from './shard-name.ts'
import type { ShardStore } from './shard-store.ts'

/**
 * Asks for the definitions of those of these queries that the shard neither knows nor has erased, and keeps them with the
 * shard's own targets. Throws where `definitions` does.
 */
export async function learnQueries(
  store: ShardStore,
  numbers: readonly number[],
  place: () => ShardPlace,
  definitions: (numbers: number[]) => Promise<QueryDefinition[]>,
): Promise<void> {
  const unknown = numbers.filter((number) => store.query(number) === null && !store.isErased(number))
  if (unknown.length === 0) return
  const { shards, shard } = place()
  for (const query of await definitions(unknown)) {
    // It may have been erased meanwhile.
    if (store.isErased(query.number)) continue
    const targets = NodeSet.fromBytes(query.targets).filter((ordinal) => shardOf(ordinal, shards) === shard)
    store.putQuery({ ...query, targets: targets.toBytes() })
  }
}
