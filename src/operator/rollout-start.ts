/** Starts a rollout: who gets the version first, by which steps it goes on, what stops it. */

import { readBuiltIn } from '../config/built-in.ts'
import { heldOf } from '../config/held.ts'
import { findConfiguration, layersOfVersion, type NewVersion } from '../db/configurations.ts'
import { isNullRefused, isUniqueViolation } from '../db/control.ts'
import { insertRollout, rolloutUnderWay, type RolloutRow } from '../db/rollouts.ts'
import { NodeSet } from '../fleet/node-set.ts'
import { firstProgress, membersOfStep } from '../fleet/rollout.ts'
import { planOf, stepsThatCount, type RolloutPlan, type WantedRollout } from '../fleet/rollout-plan.ts'
import { timeOrderedUuid } from '../lib/bytes.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import { TargetResolver } from '../queries/target-resolver.ts'
import { environmentChangeNote } from './change-note.ts'
import type { OperatorContext } from './context.ts'
import { unprocessable } from './problem.ts'
import { inTheWay } from './rollout-in-the-way.ts'
import { targetPlace, unresolved } from './targets.ts'

export interface Beginning {
  version: number
  stableVersion: number
  message: string
  /** Where the version is not stored yet. */
  content: NewVersion | null
  /** For the audit, beside what the rollout is. */
  detail: Readonly<Record<string, unknown>>
}

/** Null where somebody else stored a version or made one the stable one meanwhile: the caller looks anew. */
export async function startRollout(
  c: OperatorContext,
  wanted: WantedRollout,
  { version, stableVersion, message, content, detail }: Beginning,
): Promise<Result<{ row: RolloutRow; revision: number }, Response> | null> {
  const { db, environment, nowMs, actor } = c.var
  const planned = await planFor(c, wanted)
  if (!planned.ok) return planned
  const { plan, members } = planned.value
  const held = heldOf(content ?? (await storedContent(c, version)))
  const id = timeOrderedUuid(nowMs)
  const note = environmentChangeNote(c, 'rollout.start', id, { version, ...detail })
  const row = {
    id,
    environmentId: environment.id,
    version,
    stableVersion,
    plan: JSON.stringify(plan),
    ...firstProgress(nowMs),
    turn: 1,
    dueAtMs: nowMs,
    gates: null,
    reason: null,
    clearing: false,
    message,
    createdAtMs: nowMs,
    createdBy: actor,
    endedAtMs: null,
  }
  try {
    const revision = await insertRollout(db, note, { ...row, held, members, content })
    return ok({ row: { ...row, held: '[]' }, revision })
  } catch (error) {
    const isTaken = isUniqueViolation(error, 'rollouts.environment_id')
    const other = isTaken ? await rolloutUnderWay(db, environment.id) : null
    if (other !== null) return fail(inTheWay(other))
    const isOld =
      isTaken ||
      isUniqueViolation(error, 'configurations.version') ||
      isNullRefused(error, 'rollouts.stable_version')
    if (isOld) return null
    throw error
  }
}

/** Faults of what is wanted, before anything else gives way to it. Null: none. */
export async function faultsOfRollout(c: OperatorContext, wanted: WantedRollout): Promise<Response | null> {
  const planned = await planFor(c, wanted)
  return planned.ok ? null : planned.reason
}

/** The plan with the steps that count, and the members of the first one. */
async function planFor(
  c: OperatorContext,
  wanted: WantedRollout,
): Promise<Result<{ plan: RolloutPlan; members: NodeSet }, Response>> {
  const plan = planOf(wanted, readBuiltIn(c.var.environment.builtIn).cost !== null)
  const resolver = new TargetResolver(targetPlace(c))
  const everyone = await resolver.resolve({ all: true }, '')
  const { canary } = plan
  const named = canary === null || 'percent' in canary ? new NodeSet() : await resolver.resolve(canary, '')
  if (resolver.faults.length > 0) return fail(unresolved(resolver.faults, '/rollout/canary'))
  const steps = stepsThatCount(plan.steps, named, everyone)
  const [first] = steps
  const members = first === undefined ? named : membersOfStep(first, named, everyone)
  if (members.size > 0) return ok({ plan: { ...plan, steps }, members })
  const detail = 'no node is in the first step: name nodes or a tag, or a larger percentage'
  return fail(unprocessable({ pointer: '/rollout/canary', detail }))
}

async function storedContent(c: OperatorContext, version: number) {
  const environmentId = c.var.environment.id
  const row = await findConfiguration(c.var.db, environmentId, version)
  if (row === null) throw new Error('a version that was looked up is there')
  return { document: row.document, layers: await layersOfVersion(c.var.db, environmentId, version) }
}
