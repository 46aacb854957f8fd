/** RFC 3339 text (UTC) of milliseconds since 1970. */
export function rfc3339(ms: number): string {
  return new Date(ms).toISOString()
}

/** The same, for a time that may be missing. */
export function rfc3339OrNull(ms: number | null): string | null {
  return ms === null ? null : rfc3339(ms)
}
