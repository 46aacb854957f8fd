/** When compaction is woken: some minutes after each hour, and a few times more for what came late or was lost. */

import { listEnvironmentIds } from '../../db/environment-ids.ts'
import { DEPLOYMENT_ENVIRONMENT_ID } from '../archive-object.ts'
import { wakeCompaction } from './wake.ts'

const MINUTE_MS = 60_000
/** Hours are settled after ten minutes (index/compaction). */
const FIRST_MINUTE = 12
const EVERY_MINUTES = 15

/** Called each minute. One D1 statement and a message for each environment (and what belongs to none), four times an hour. */
export async function scheduleCompaction(env: Env, nowMs: number): Promise<void> {
  const minute = Math.floor(nowMs / MINUTE_MS) % 60
  if (minute % EVERY_MINUTES !== FIRST_MINUTE) return
  await wakeCompaction(env, [...(await listEnvironmentIds(env.DB)), DEPLOYMENT_ENVIRONMENT_ID])
}
