/** What a plain HTTP status means for a batch, where a protocol says no more. Pure. */

import { retryAfterMsOf } from './retry-after.ts'
import type { DeliveryOutcome } from './sink-kind.ts'

/** Timeouts, a lock, "too early" and "too many" are the destination's state; other 4xx are ours (RFC 9110, 6585). */
const TRY_AGAIN = [408, 409, 423, 425, 429]

/** What Cloudflare answers for a host that it cannot reach (Cloudflare 5xx errors): a Worker's fetch sees no more. */
const UNREACHED: Readonly<Record<number, string>> = {
  521: ': the connection was refused',
  522: ': no connection within its time',
  523: ': the host cannot be reached',
  524: ': no answer within its time',
  525: ': the TLS handshake failed',
  526: ': the certificate is not valid',
}

/** The outcome for a whole batch. */
export function outcomeOfStatus(status: number, headers: Headers, nowMs: number): DeliveryOutcome {
  if (status >= 200 && status < 300) return { kind: 'delivered', rejected: [] }
  const reason = `answered ${status}${UNREACHED[status] ?? ''}`
  if (status === 413) return { kind: 'split', reason }
  if (status >= 500 || TRY_AGAIN.includes(status)) {
    return { kind: 'retry', reason, retryAfterMs: retryAfterMsOf(headers, nowMs) }
  }
  if (status >= 300 && status < 400) {
    return { kind: 'refused', reason: `${reason}: a redirect that is not followed` }
  }
  return { kind: 'refused', reason }
}
