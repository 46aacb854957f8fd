/** When the alarm of a Sink object is set. Pure. */

/** An alarm that is late by more than this is lost (the local simulator forgets them in a restart). */
const ALARM_LOST_MS = 5_000

/** So that there is an alarm at `atMs` or before; null: what is set does. */
export function alarmBy(setMs: number | null, atMs: number, nowMs: number): number | null {
  const isEnough = setMs !== null && setMs <= atMs && setMs > nowMs - ALARM_LOST_MS
  return isEnough ? null : Math.max(atMs, nowMs)
}

/**
 * In place of an alarm that is lost, for whoever only looks at the sink: a look brings nothing nearer and puts nothing
 * off. Null: what is set does.
 */
export function alarmInPlace(setMs: number | null, dueAtMs: number, nowMs: number): number | null {
  const isLost = setMs === null || setMs <= nowMs - ALARM_LOST_MS
  return isLost ? Math.max(dueAtMs, nowMs) : null
}
