/** The Retry-After header of a reply (RFC 9110 section 10.2.3): seconds or a date. Pure. */

/** A destination may ask for patience, not stop a sink for good. */
const MAX_RETRY_AFTER_MS = 60 * 60_000

/** How long a destination asks to be left alone, at most an hour; null where it does not say. */
export function retryAfterMsOf(headers: Headers, nowMs: number): number | null {
  const text = headers.get('retry-after')?.trim() ?? ''
  const waitMs = /^\d+$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - nowMs
  return Number.isNaN(waitMs) ? null : Math.min(Math.max(waitMs, 0), MAX_RETRY_AFTER_MS)
}
