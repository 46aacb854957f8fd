/** What an alarm has to do, one thing after the other: a failure of one must not keep the others. */

import { Deadline } from './deadline.ts'

/**
 * Does all of it; false where something failed, which is logged under `event`. What takes longer than `withinMs` counts as
 * failed and goes on unobserved: a binding that hangs must not keep what is to follow.
 */
export async function runDuties(
  event: string,
  duties: readonly (() => Promise<unknown>)[],
  withinMs: number | null = null,
): Promise<boolean> {
  let isDone = true
  for (const duty of duties) {
    try {
      await (withinMs === null ? duty() : new Deadline(withinMs).run(duty()))
    } catch (error) {
      isDone = false
      console.error(JSON.stringify({ event, error: String(error) }))
    }
  }
  return isDone
}
