/** Does work whose waits reject when the signal aborts: that is how a loop or a life ends, and no error. */
export async function untilAborted(signal: AbortSignal, work: () => Promise<unknown>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
