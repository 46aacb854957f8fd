/** RFC 3339 text (UTC) of milliseconds since 1970. */
export function rfc3339(ms: number): string {
  return new Date(ms).toISOString()
}

/** The same, for a time that may be missing. */
export function rfc3339OrNull(ms: number | null): string | null {
  return ms === null ? null : rfc3339(ms)
}

/**
 * How long ago something was. What is still to come was noted by a clock that was wrong then (or is now): it counts as
 * long ago, so that nothing waits for hours until such a time has come.
 */
export function msSince(atMs: number, nowMs: number): number {
  return atMs > nowMs ? Number.POSITIVE_INFINITY : nowMs - atMs
}
