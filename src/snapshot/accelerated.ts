/** The part of the nodes that poll fast because operators watch queries. */

import { acceleratedNodes, accelerationCap, DEFAULT_ACCELERATE_SHARE } from '../fleet/acceleration.ts'
import { NodeSet } from '../fleet/node-set.ts'
import { partHash } from './compile.ts'
import type { EnvironmentStore } from './environment-store.ts'
import type { HeadAcceleration } from './head.ts'
import type { SnapshotFacts } from './safety.ts'

/** Stores the part; undefined where nobody watches, or nobody may be accelerated. */
export async function acceleratedPart(
  store: EnvironmentStore,
  facts: SnapshotFacts,
  nowMs: number,
): Promise<HeadAcceleration | undefined> {
  const watches = store.watches(nowMs)
  const cap = accelerationCap(facts.nodeCount, facts.accelerateShare ?? DEFAULT_ACCELERATE_SHARE)
  if (watches.length === 0 || cap === 0) return undefined
  const nodes = acceleratedNodes(
    watches.map(({ targets }) => NodeSet.fromBytes(targets)),
    cap,
  )
  const bytes = nodes.toBytes()
  const part = await partHash(bytes)
  store.putPart(part, bytes)
  return { untilMs: Math.max(...watches.map(({ untilMs }) => untilMs)), part }
}
