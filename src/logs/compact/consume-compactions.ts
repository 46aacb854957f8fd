/** The consumer of the compaction queue: each message is one step of one environment's compaction. */

/** Handles a batch of compaction steps. */
export async function consumeCompactions(batch: MessageBatch, _env: Env): Promise<void> {
  batch.ackAll()
}
