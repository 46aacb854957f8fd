/**
 * What agents count of a scheduled query: totals since some start - that of the agent, of its database, or of the query
 * itself, as versions differ (spec, osquery_schedule). Pure.
 */

export interface Counters {
  executions: number
  userMs: number
  systemMs: number
  wallMs: number
  outputBytes: number
  /** Unix time; 0: never. */
  lastExecutedS: number
}

export type Delta = Omit<Counters, 'lastExecutedS'>

export const NO_COUNTERS: Counters = {
  executions: 0,
  userMs: 0,
  systemMs: 0,
  wallMs: 0,
  outputBytes: 0,
  lastExecutedS: 0,
}

/** What came to be between two reports of one node. After a new start it is all that was counted since. */
export function deltaOf(before: Counters, now: Counters): Delta {
  const { executions, userMs, systemMs, wallMs, outputBytes } = isNewStart(before, now) ? NO_COUNTERS : before
  return {
    executions: now.executions - executions,
    userMs: now.userMs - userMs,
    systemMs: now.systemMs - systemMs,
    wallMs: now.wallMs - wallMs,
    outputBytes: now.outputBytes - outputBytes,
  }
}

/** Whether the agent began to count anew: a total is lower, or it ran again and did not count on. */
function isNewStart(before: Counters, now: Counters): boolean {
  return (
    now.executions < before.executions ||
    now.userMs < before.userMs ||
    now.systemMs < before.systemMs ||
    now.wallMs < before.wallMs ||
    now.outputBytes < before.outputBytes ||
    (now.executions === before.executions && now.lastExecutedS > before.lastExecutedS)
  )
}

/** Milliseconds of CPU time. */
export function cpuMsOf({ userMs, systemMs }: Pick<Delta, 'userMs' | 'systemMs'>): number {
  return userMs + systemMs
}
