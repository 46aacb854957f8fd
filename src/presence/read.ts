/** Reading presence for operators. */

import { NodeSet } from '../fleet/node-set.ts'
import { ORDINALS_PER_OBJECT, presenceStub, type LastSeen } from './kinds.ts'

/** When these nodes of an environment were last seen, by ordinal. */
export async function lastSeenOf(
  env: Env,
  environmentId: string,
  ordinals: readonly number[],
): Promise<Map<number, LastSeen>> {
  const byObject = Map.groupBy(ordinals, (ordinal) => Math.floor(ordinal / ORDINALS_PER_OBJECT))
  const seen = await Promise.all(
    [...byObject.values()].map((group) => presenceStub(env, environmentId, group[0] ?? 0).lastSeen(group)),
  )
  return new Map(seen.flat().map((entry) => [entry.ordinal, entry]))
}

/** The newest second at which a node was seen doing anything; 0: never. */
export function newestSightingS(seen: LastSeen | undefined): number {
  return seen === undefined ? 0 : Math.max(...Object.values(seen.atS))
}

/** The nodes that were seen doing anything at or after a time, in seconds. */
export async function seenSince(
  env: Env,
  environmentId: string,
  highestOrdinal: number,
  atS: number,
): Promise<NodeSet> {
  const seen = new NodeSet()
  const parts = await Promise.all(
    objectsOf(highestOrdinal).map((ordinal) => presenceStub(env, environmentId, ordinal).seenSince(atS)),
  )
  for (const bytes of parts) seen.addAll(NodeSet.fromBytes(bytes))
  return seen
}

/** What isolates counted of an environment since ever, by name: requests of each kind, and oddities. */
export async function countersOf(
  env: Env,
  environmentId: string,
  highestOrdinal: number,
): Promise<Record<string, number>> {
  const counted = await Promise.all(
    objectsOf(highestOrdinal).map((ordinal) => presenceStub(env, environmentId, ordinal).counters()),
  )
  const totals: Record<string, number> = {}
  for (const [name, count] of counted.flatMap((counters) => Object.entries(counters))) {
    totals[name] = (totals[name] ?? 0) + count
  }
  return totals
}

/** The first ordinal of each object that an environment has. */
function objectsOf(highestOrdinal: number): number[] {
  const objects = Math.floor(Math.max(0, highestOrdinal) / ORDINALS_PER_OBJECT) + 1
  return Array.from({ length: objects }, (_, index) => index * ORDINALS_PER_OBJECT)
}
