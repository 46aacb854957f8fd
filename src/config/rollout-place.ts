/** What a rollout means for the configuration of one node: the same as src/snapshot/cohort-rows.ts says of all. */

import type { ControlDb } from '../db/control.ts'
import { membersOfRollout, rolloutsTakenBack, rolloutUnderWay, type RolloutRow } from '../db/rollouts.ts'
import type { Held } from '../fleet/held.ts'
import type { BuiltInSettings } from './built-in.ts'

export interface RolloutPlace {
  /** The rollout whose version the node gets; null: it gets what all others get. */
  rollout: RolloutRow | null
  /** What it may hold of versions that were taken back from it. */
  held: Held[]
}

export async function rolloutPlaceOf(
  db: ControlDb,
  environmentId: string,
  ordinal: number,
): Promise<RolloutPlace> {
  const underWay = await rolloutUnderWay(db, environmentId)
  const isMember = underWay?.served === true && (await membersOfRollout(db, underWay.id)).has(ordinal)
  const takenBack = await rolloutsTakenBack(db, environmentId)
  // One list for all that was taken back, as there is one cohort for it.
  const isFormer = takenBack.some(({ members }) => members.has(ordinal))
  return { rollout: isMember ? underWay : null, held: isFormer ? takenBack.flatMap(({ held }) => held) : [] }
}

/** Gates look at what members' queries cost within a step, which is shorter than the usual interval of that. */
export function reportingOften(settings: BuiltInSettings, costIntervalS: number): BuiltInSettings {
  return {
    ...settings,
    cost: { intervalS: Math.min(costIntervalS, settings.cost?.intervalS ?? costIntervalS) },
  }
}
