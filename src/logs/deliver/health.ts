/** How a sink is. Pure. */

import { backOffMs } from './backoff.ts'
import type { DeliveryOptions } from './sink-config.ts'
import type { Settled } from './track.ts'

export interface Health {
  /** In a row, without those that the destination set a time for: what the back-off grows by. */
  failures: number
  /** It failed last by asking for time (Retry-After), which it gets. */
  isToldToWait: boolean
  /** Not before this. */
  nextAttemptAtMs: number
  /** What the rate allows next. */
  nextAllowedAtMs: number
  lastSuccessAtMs: number | null
  /** The last failure, also when it is over. */
  lastError: { atMs: number; kind: 'retry' | 'refused'; reason: string } | null
  /** Lines put aside one by one since the destination last took anything. */
  refusedInRow: number
  /** What could not be read any more: deleted, past its retention, damaged. */
  missedObjects: number
  missedLines: number
}

export const NEW_HEALTH: Health = {
  failures: 0,
  isToldToWait: false,
  nextAttemptAtMs: 0,
  nextAllowedAtMs: 0,
  lastSuccessAtMs: null,
  lastError: null,
  refusedInRow: 0,
  missedObjects: 0,
  missedLines: 0,
}

/** A destination that refused so many lines by themselves, and took none between, refuses everything. */
const MAX_REFUSED_IN_ROW = 10
/** After so many refusals with the long back-off (some hours) a line goes to quarantine in any case. */
const MAX_FAILURES_FOR_A_LINE = 20
const MAX_REASON_CHARACTERS = 300

/** Whether a line that is refused by itself may be put aside: see `settle`. */
export function mayPutAside({ refusedInRow, failures }: Health): boolean {
  return refusedInRow < MAX_REFUSED_IN_ROW || failures >= MAX_FAILURES_FOR_A_LINE
}

/** After a round. `random`: in [0, 1). */
export function healthAfter(health: Health, settled: Settled, nowMs: number, random: number): Health {
  const alone = settled.rejections.filter(({ cut }) => cut.lines.length === 1).length
  const taken: Health = settled.accepted
    ? { ...health, lastSuccessAtMs: nowMs, failures: 0, isToldToWait: false, refusedInRow: 0 }
    : { ...health, refusedInRow: health.refusedInRow + alone }
  if (settled.failure !== null) {
    // Its time is kept to instead: a fault that comes later must not find the back-off at minutes.
    const isToldToWait = settled.failure.kind === 'retry' && settled.failure.retryAfterMs !== null
    const failures = taken.failures + (isToldToWait ? 0 : 1)
    const nextAttemptAtMs = nowMs + backOffMs(settled.failure, failures, random)
    return { ...taken, failures, isToldToWait, nextAttemptAtMs, lastError: errorOf(settled.failure, nowMs) }
  }
  const nextAttemptAtMs = settled.checkAfterMs === null ? 0 : nowMs + settled.checkAfterMs
  // Something put aside after long refusals is an end of them, too.
  const isOver = settled.rejections.length > 0
  const failures = isOver ? 0 : taken.failures
  return { ...taken, failures, isToldToWait: taken.isToldToWait && !isOver, nextAttemptAtMs }
}

function errorOf({ kind, reason }: { kind: 'retry' | 'refused'; reason: string }, atMs: number) {
  return { atMs, kind, reason: reason.slice(0, MAX_REASON_CHARACTERS) }
}

/** When the rate allows more, after so many lines and bytes were sent. */
export function nextAllowedAtMs(
  { nextAllowedAtMs: beforeMs }: Health,
  { linesPerSecond, bytesPerSecond }: DeliveryOptions,
  sent: { lines: number; bytes: number },
  nowMs: number,
): number {
  const seconds = Math.max(
    linesPerSecond === null ? 0 : sent.lines / linesPerSecond,
    bytesPerSecond === null ? 0 : sent.bytes / bytesPerSecond,
  )
  return Math.max(nowMs, beforeMs) + seconds * 1_000
}
