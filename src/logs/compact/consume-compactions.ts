/**
 * The consumer of the compaction queue: each message wakes one environment's work (step.ts), which knows by itself what
 * comes next. A message that is lost is made up for by the next tick.
 */

import { workStep } from './step.ts'
import { MESSAGE_FORMAT, wakeCompaction, type CompactionMessage } from './wake.ts'

/** Steps of one message; then another message goes on, in an isolate that may be another. */
const STEPS_AT_ONCE = 8
const MAX_STEPS_MS = 5 * 60_000

/** Handles a batch of wake-ups. */
export async function consumeCompactions(batch: MessageBatch, env: Env): Promise<void> {
  for (const message of batch.messages) {
    const { format, environmentId } = message.body as Partial<CompactionMessage>
    // A newer Worker may know what this one does not.
    if (format !== MESSAGE_FORMAT || environmentId === undefined) message.retry({ delaySeconds: 60 })
    else {
      if (await workOn(env, environmentId)) await wakeCompaction(env, [environmentId])
      message.ack()
    }
  }
}

/** Does some steps; whether there may be more to do. */
async function workOn(env: Env, environmentId: string): Promise<boolean> {
  const endsAtMs = Date.now() + MAX_STEPS_MS
  for (let i = 0; i < STEPS_AT_ONCE; i += 1) {
    if ((await workStep(env, environmentId, Date.now())) !== 'more') return false
    if (Date.now() > endsAtMs) break
  }
  return true
}
