/**
 * The consumer of the compaction queue: each message wakes one environment's work (step.ts), which knows by itself what
 * comes next. A message that is lost is made up for by the next tick.
 */

import { workStep } from './step.ts'

const MESSAGE_FORMAT = 1
/** Steps of one message; then another message goes on, in an isolate that may be another. */
const STEPS_AT_ONCE = 8
const MAX_STEPS_MS = 5 * 60_000
/** sendBatch takes 100 messages (Cloudflare Queues limits). */
const MESSAGES_AT_ONCE = 100

export interface CompactionMessage {
  format: number
  environmentId: string
}

/** Wakes an environment's work. */
export async function wakeCompaction(env: Env, environmentIds: readonly string[]): Promise<void> {
  for (let i = 0; i < environmentIds.length; i += MESSAGES_AT_ONCE) {
    const some = environmentIds.slice(i, i + MESSAGES_AT_ONCE)
    await env.COMPACTIONS.sendBatch(
      some.map((environmentId) => ({ body: { format: MESSAGE_FORMAT, environmentId } })),
    )
  }
}

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
