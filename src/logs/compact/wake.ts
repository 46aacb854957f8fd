/** Messages of the compaction queue. */

/** Readers accept this format and the one before it (design 4). */
export const MESSAGE_FORMAT = 1
/** sendBatch takes 100 messages (Cloudflare Queues limits). */
const MESSAGES_AT_ONCE = 100

export interface CompactionMessage {
  format: number
  environmentId: string
}

/** Wakes the work of environments: what is to be done they know by themselves. */
export async function wakeCompaction(env: Env, environmentIds: readonly string[]): Promise<void> {
  for (let i = 0; i < environmentIds.length; i += MESSAGES_AT_ONCE) {
    const some = environmentIds.slice(i, i + MESSAGES_AT_ONCE)
    await env.COMPACTIONS.sendBatch(
      some.map((environmentId) => ({ body: { format: MESSAGE_FORMAT, environmentId } })),
    )
  }
}

/** The same where nothing depends on it: what is not woken now begins with the next tick. */
export async function tryToWakeCompaction(env: Env, environmentId: string): Promise<void> {
  try {
    await wakeCompaction(env, [environmentId])
  } catch (error) {
    console.warn(JSON.stringify({ event: 'compaction-not-woken', environmentId, error: String(error) }))
  }
}
