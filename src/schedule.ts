/** What the cron trigger runs each minute. */

import { noteKeysPresent } from './agent/key-fingerprints.ts'
import { forgetTraces } from './db/trace-erasures.ts'
import { rekeyMore } from './db/rekey-duty.ts'
import { pauseDenied } from './costs/auto-pause.ts'
import { exportAudit } from './logs/export-audit.ts'
import { wakeSinksNowAndThen } from './logs/deliver/wake-up.ts'
import { scheduleCompaction } from './logs/compact/schedule.ts'
import { alarmOldQuarantine } from './logs/quarantine-alarm.ts'
import { moveRollouts } from './config/rollout-duty.ts'
import { Deadline } from './lib/deadline.ts'
import { sweepInbox } from './logs/sweep.ts'
import { archiveUnseen, returnSeen } from './presence/archiving.ts'
import { askLateEnrollments } from './queries/late-enrollments.ts'
import { tellWebhooks } from './queries/webhooks.ts'
import { publishEnrollTags } from './snapshot/enroll-tags.ts'

/** A binding that hangs must not keep what is to follow, in this minute and all others. */
export const DUTY_WITHIN_MS = 60_000

/** The duties of a minute. Each bears being skipped: a failure is logged and left to the next minute. */
export async function runSchedule(env: Env, _ctx: ExecutionContext, scheduledTimeMs: number): Promise<void> {
  const duties = {
    'publish-enroll-tags': publishEnrollTags,
    'sweep-inbox': sweepInbox,
    'export-audit': exportAudit,
    'alarm-old-quarantine': alarmOldQuarantine,
    'wake-compaction': scheduleCompaction,
    'wake-sinks': wakeSinksNowAndThen,
    'ask-late-enrollments': askLateEnrollments,
    'tell-webhooks': tellWebhooks,
    'pause-denied': pauseDenied,
    'move-rollouts': moveRollouts,
    'note-signing-keys': noteKeysPresent,
    'archive-unseen': archiveUnseen,
    'return-seen': returnSeen,
    'rekey-nodes': rekeyMore,
    'forget-traces': forgetTraces,
  }
  for (const [duty, run] of Object.entries(duties)) {
    try {
      await new Deadline(DUTY_WITHIN_MS).run(run(env, scheduledTimeMs))
    } catch (error) {
      console.error(JSON.stringify({ event: 'duty-failed', duty, error: String(error) }))
    }
  }
}
