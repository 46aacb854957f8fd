/** Whatever a handler throws: an outage or a bug. Operators are told that, and no more; the log has the reason. */

import { HTTPException } from 'hono/http-exception'
import { problem } from './problem.ts'

/** The sub-app's onError. */
export function replyToFailure(error: Error): Response {
  if (error instanceof HTTPException && error.status === 400) return problem(400, 'The body is not JSON.')
  console.error(JSON.stringify({ event: 'operator-failure', reason: reasonOf(error) }))
  return problem(503, 'Something that this needs does not answer. Try again.', [], { 'retry-after': '2' })
}

/** Errors whose message the runtime or we wrote: it has no data in it. */
const OPEN_ERRORS = new Set(['TypeError', 'RangeError', 'ReferenceError', 'DeadlineExceeded'])

/**
 * What may be logged of an error: the names of it and its causes, the codes of D1 and SQLite, and the message only
 * where no SQL and no parameters can be in it (drizzle's has both, the database's may quote them).
 */
export function reasonOf(error: unknown): string {
  const reasons: string[] = []
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const codes = cause.message.match(/\b(?:D1|SQLITE)_[A-Z_]+\b/g) ?? []
    const shown = OPEN_ERRORS.has(cause.name) ? [cause.message] : [...new Set(codes)]
    reasons.push([cause.name, ...shown].join(' '))
  }
  return reasons.length === 0 ? 'unknown' : reasons.join(' < ')
}
