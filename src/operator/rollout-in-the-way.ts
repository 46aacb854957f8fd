/** A rollout that is under way stands in the way of other changes of the configuration. */

import { makeMove } from '../config/rollout-moves.ts'
import { findConfiguration } from '../db/configurations.ts'
import { rolloutUnderWay, type RolloutRow } from '../db/rollouts.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import type { OperatorContext } from './context.ts'
import { conflict } from './problem.ts'

/**
 * Null where nothing is in the way. The rollout where its version has this very content. With `supersede` any other is
 * taken back, else that is a 409 which says what to do.
 */
export async function rolloutInTheWay(
  c: OperatorContext,
  sha256: string,
  supersede: boolean,
): Promise<Result<RolloutRow | null, Response>> {
  const { db, environment, actor, nowMs } = c.var
  const row = await rolloutUnderWay(db, environment.id)
  if (row === null) return ok(null)
  const candidate = await findConfiguration(db, environment.id, row.version)
  if (candidate?.sha256 === sha256) return ok(row)
  if (!supersede) return fail(inTheWay(row))
  const reason = { by: 'superseded', detail: 'by another version' }
  await makeMove(db, row, { kind: 'rollback' }, { actor, nowMs, reason })
  return ok(null)
}

export function inTheWay({ id, state, version }: RolloutRow): Response {
  const detail =
    `rollout ${id} of version ${version} is ${state}: advance it to its end or take it back ` +
    '(POST …/configuration/rollouts/{id}/advance or /rollback), or say supersede=true'
  return conflict('/rollout', detail)
}
