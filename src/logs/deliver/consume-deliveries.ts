/** The consumer of the delivery queue: each message wakes one sink. */

/** Handles a batch of wake-ups. */
export async function consumeDeliveries(batch: MessageBatch, _env: Env): Promise<void> {
  batch.ackAll()
}
