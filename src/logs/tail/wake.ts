/** Tells the live tail of an environment that there are new objects. */

import { Deadline } from '../../lib/deadline.ts'
import type { Follower } from '../archive-followers.ts'

/** The consumer has other work; a wake-up that is lost is made up for by the tail's alarm. */
const WITHIN_MS = 2_000

/** Wakes the tail if it follows the archive: while nobody watches this is no call at all. Never throws. */
export async function wakeTail(
  env: Env,
  environmentId: string,
  followers: readonly Follower[],
): Promise<void> {
  if (!followers.some(({ kind }) => kind === 'tail')) return
  try {
    await new Deadline(WITHIN_MS).run(env.TAIL.getByName(environmentId).wake(environmentId))
  } catch (error) {
    console.warn(JSON.stringify({ event: 'tail-not-woken', error: String(error) }))
  }
}
