/** The consumer of the delivery queue: each message wakes one sink, which does the rest by itself. */

import { Deadline } from '../../lib/deadline.ts'
import { sinkOfWakeUp } from './wake-up.ts'

/** Waking only sets an alarm. */
const WAKE_WITHIN_MS = 5_000

/** Handles a batch of wake-ups; the same sink is woken once. One that does not answer holds no other up. */
export async function consumeDeliveries(batch: MessageBatch, env: Env): Promise<void> {
  const bySink = Map.groupBy(batch.messages, ({ body }) => sinkOfWakeUp(body))
  await Promise.all(
    [...bySink].map(async ([sinkId, messages]) => {
      try {
        if (sinkId !== null) await new Deadline(WAKE_WITHIN_MS).run(env.SINK.getByName(sinkId).wake(sinkId))
        for (const message of messages) message.ack()
      } catch (error) {
        console.warn(JSON.stringify({ event: 'sink-wake-failed', sink: sinkId, error: String(error) }))
        for (const message of messages) message.retry()
      }
    }),
  )
}
