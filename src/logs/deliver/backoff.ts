/** How long a sink leaves its destination alone after a failure. Pure. */

/** A destination that is away or busy: soon again, then seldom. */
const RETRY = { baseMs: 1_000, maxMs: 5 * 60_000 }
/** Settings or rights that are wrong: only somebody can mend it. */
const REFUSED = { baseMs: 15_000, maxMs: 15 * 60_000 }
/** Full jitter may draw nothing at all. */
const LEAST_MS = 250
/** A doubling more is beyond any of the caps. */
const MAX_DOUBLINGS = 20
/** Sinks of one destination that were told the same time do not come at once. */
const RETRY_AFTER_SPREAD = 0.1

/**
 * Full jitter: anything up to a bound that doubles with each failure in a row (`failures` from 1). What the destination
 * asked for is kept to. `random`: in [0, 1).
 */
export function backOffMs(
  failure: { kind: 'retry' | 'refused'; retryAfterMs: number | null },
  failures: number,
  random: number,
): number {
  if (failure.retryAfterMs !== null) {
    return Math.max(LEAST_MS, failure.retryAfterMs * (1 + random * RETRY_AFTER_SPREAD))
  }
  const { baseMs, maxMs } = failure.kind === 'retry' ? RETRY : REFUSED
  const boundMs = Math.min(maxMs, baseMs * 2 ** Math.min(failures - 1, MAX_DOUBLINGS))
  return Math.max(LEAST_MS, boundMs * random)
}
