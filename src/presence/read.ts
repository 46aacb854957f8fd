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

/** What the clocks of two machines may differ by. */
const MAX_AHEAD_MS = 60_000

/**
 * A node's newest sign of life, its enrolment included. What is still to come was noted by a clock that was wrong; it is
 * no sign, else the node would count as online until then.
 */
export function lastSignMs(seen: LastSeen | undefined, enrolledAtMs: number, nowMs: number): number {
  const sightingsMs = Object.values(seen?.atS ?? {}).map((atS) => atS * 1_000)
  const signs = [enrolledAtMs, ...sightingsMs].filter((atMs) => atMs <= nowMs + MAX_AHEAD_MS)
  return signs.length === 0 ? nowMs : Math.max(...signs)
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

/** By configuration version, the nodes that were last served it, at or after a time in seconds (over 0). */
export async function holdersOf(
  env: Env,
  environmentId: string,
  highestOrdinal: number,
  atS: number,
): Promise<Map<number, NodeSet>> {
  const holders = new Map<number, NodeSet>()
  const parts = await Promise.all(
    objectsOf(highestOrdinal).map((ordinal) => presenceStub(env, environmentId, ordinal).holders(atS)),
  )
  for (const { version, bits } of parts.flat()) {
    const set = holders.get(version) ?? new NodeSet()
    set.addAll(NodeSet.fromBytes(bits))
    holders.set(version, set)
  }
  return holders
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

/** Has presence forget where a node (null: any of an environment) comes from. Throws where an object does not answer. */
export async function forgetAgentsOf(
  env: Env,
  environmentId: string,
  ordinal: number | null,
  highestOrdinal: number,
): Promise<void> {
  const objects = ordinal === null ? objectsOf(highestOrdinal) : [ordinal]
  await Promise.all(objects.map((first) => presenceStub(env, environmentId, first).forgetAgents(ordinal)))
}

/** The first ordinal of each object that an environment has. */
function objectsOf(highestOrdinal: number): number[] {
  const objects = Math.floor(Math.max(0, highestOrdinal) / ORDINALS_PER_OBJECT) + 1
  return Array.from({ length: objects }, (_, index) => index * ORDINALS_PER_OBJECT)
}
