/** Wake-ups of sinks: after something was indexed each sink of the environment gets one, by the delivery queue. */

import { listSinkIds } from '../../db/sink-definitions.ts'
import { Deadline } from '../../lib/deadline.ts'
import type { Follower } from '../archive-followers.ts'

const MESSAGE_FORMAT = 1
/** sendBatch takes 100 messages (Cloudflare Queues limits). */
const MESSAGES_AT_ONCE = 100
/** An alarm is almost never lost, so this is seldom. */
const WAKE_ALL_EVERY_MINUTES = 10
/** Sinks that one pass of the schedule wakes. */
const MAX_WOKEN = 1_000
const WOKEN_AT_ONCE = 20
/** The consumer has other work. */
const WITHIN_MS = 5_000

interface WakeUp {
  format: typeof MESSAGE_FORMAT
  sinkId: string
}

/** Tells the sinks among these followers that there is something. Losing it harms nothing: their alarms make up. */
export async function sendWakeUps(env: Env, followers: readonly Follower[]): Promise<void> {
  const sinks = followers.filter(({ kind }) => kind === 'sink')
  for (let i = 0; i < sinks.length; i += MESSAGES_AT_ONCE) {
    const messages = sinks.slice(i, i + MESSAGES_AT_ONCE).map(({ name }) => ({
      body: { format: MESSAGE_FORMAT, sinkId: name } satisfies WakeUp,
      contentType: 'json' as const,
    }))
    try {
      await new Deadline(WITHIN_MS).run(env.DELIVERIES.sendBatch(messages))
    } catch (error) {
      console.warn(
        JSON.stringify({ event: 'sink-wake-ups-lost', sinks: messages.length, error: String(error) }),
      )
    }
  }
}

/** The sink that a message wakes; null for one of another format. */
export function sinkOfWakeUp(body: unknown): string | null {
  const { format, sinkId } = (body ?? {}) as Partial<WakeUp>
  return format === MESSAGE_FORMAT && typeof sinkId === 'string' ? sinkId : null
}

/** What the schedule does each minute: every few of them it wakes all. */
export async function wakeSinksNowAndThen(env: Env, scheduledTimeMs: number): Promise<void> {
  const minute = Math.floor(scheduledTimeMs / 60_000)
  if (minute % WAKE_ALL_EVERY_MINUTES === 0) await wakeAllSinks(env)
}

/**
 * Wakes every sink: for those whose alarm was lost, or whose definition never reached them. One that fails is left to
 * the next time.
 */
export async function wakeAllSinks(env: Env): Promise<void> {
  const ids = await listSinkIds(env.DB, '', MAX_WOKEN)
  for (let i = 0; i < ids.length; i += WOKEN_AT_ONCE) {
    await Promise.all(
      ids.slice(i, i + WOKEN_AT_ONCE).map(async (id) => {
        try {
          await new Deadline(WITHIN_MS).run(env.SINK.getByName(id).wake(id))
        } catch (error) {
          console.warn(JSON.stringify({ event: 'sink-wake-failed', sink: id, error: String(error) }))
        }
      }),
    )
  }
}
