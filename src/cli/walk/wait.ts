/** Waiting for something that must come true within a time. */

import { setTimeout as sleep } from 'node:timers/promises'

import { WalkFailure } from './report.ts'

export interface Patience {
  withinMs: number
  /** From the end of one try to the next. */
  everyMs: number
}

/**
 * Tries until there is a value. A try that fails (WalkFailure) is tried again too; its reason is the one that is
 * reported when the time is over.
 */
export async function until<T>(
  what: string,
  { withinMs, everyMs }: Patience,
  attempt: () => Promise<T | undefined>,
): Promise<T> {
  const deadlineMs = performance.now() + withinMs
  for (;;) {
    let reason = 'not yet'
    try {
      const value = await attempt()
      if (value !== undefined) return value
    } catch (error) {
      if (!(error instanceof WalkFailure)) throw error
      reason = error.message
    }
    if (performance.now() >= deadlineMs)
      throw new WalkFailure(`${what} not within ${withinMs / 1_000} s: ${reason}`)
    await sleep(everyMs)
  }
}
