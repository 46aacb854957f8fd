/** What the cron trigger runs each minute. */

import { sweepInbox } from './logs/sweep.ts'

/** Picks up what was acknowledged but never enqueued. A failure is logged and left to the next minute. */
export async function runSchedule(env: Env, _ctx: ExecutionContext, scheduledTimeMs: number): Promise<void> {
  await sweepInbox(env, scheduledTimeMs)
}
