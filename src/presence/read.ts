/** Reading presence for operators. */

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

/** What isolates counted of an environment since ever, by name: requests of each kind, and oddities. */
export async function countersOf(
  env: Env,
  environmentId: string,
  highestOrdinal: number,
): Promise<Record<string, number>> {
  const objects = Math.floor(Math.max(0, highestOrdinal) / ORDINALS_PER_OBJECT) + 1
  const counted = await Promise.all(
    Array.from({ length: objects }, (_, index) =>
      presenceStub(env, environmentId, index * ORDINALS_PER_OBJECT).counters(),
    ),
  )
  const totals: Record<string, number> = {}
  for (const [name, count] of counted.flatMap((counters) => Object.entries(counters))) {
    totals[name] = (totals[name] ?? 0) + count
  }
  return totals
}
