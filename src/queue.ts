/** Which queue's messages go where. A queue is told by its name: `<deployment>-logs`, `-deliveries`, `-compactions`. */

import { consumeCompactions } from './logs/compact/consume-compactions.ts'
import { consumeLogs } from './logs/consume.ts'
import { consumeDeliveries } from './logs/deliver/consume-deliveries.ts'

/** Handles a batch of any queue. */
export async function consumeQueue(batch: MessageBatch, env: Env): Promise<void> {
  if (batch.queue.endsWith('-deliveries')) return consumeDeliveries(batch, env)
  if (batch.queue.endsWith('-compactions')) return consumeCompactions(batch, env)
  return consumeLogs(batch, env)
}
