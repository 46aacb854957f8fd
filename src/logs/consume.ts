export async function consumeQueue(_batch: MessageBatch, _env: Env): Promise<void> {}
