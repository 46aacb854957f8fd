/** Stores a version that goes to some nodes first. */

import { newestVersion } from '../db/configurations.ts'
import type { RolloutRow } from '../db/rollouts.ts'
import type { WantedRollout } from '../fleet/rollout-plan.ts'
import { ok, type Result } from '../lib/result.ts'
import type { OperatorContext } from './context.ts'
import { startRollout } from './rollout-start.ts'
import type { PreparedVersion, Stored, StoredVersion } from './store-version.ts'

/** The same content again is on its way already. */
export function alreadyUnderWay(
  c: OperatorContext,
  prepared: PreparedVersion,
  rollout: RolloutRow,
): StoredVersion {
  const { revision } = c.var.environment
  return { ...prepared, version: rollout.version, revision, live: true, rollout }
}

/** Null where another version is the newest by now. */
export async function storeForSome(
  c: OperatorContext,
  message: string,
  { present, wanted, sha256, bytes }: PreparedVersion,
  rollout: WantedRollout,
): Promise<Result<Stored, Response> | null> {
  const environmentId = c.var.environment.id
  if (present.sha256 === sha256)
    return ok({ version: present.version, revision: c.var.environment.revision, rollout: null })
  const version = (await newestVersion(c.var.db, environmentId)) + 1
  const content = { environmentId, version, sha256, message, ...wanted }
  const detail = { sha256, bytes, message }
  const started = await startRollout(c, rollout, {
    version,
    stableVersion: present.version,
    message,
    content,
    detail,
  })
  if (started === null || !started.ok) return started
  const { row, revision } = started.value
  return ok({ version, revision, rollout: row })
}
