/** Whatever a handler throws: an outage or a bug. Operators are told that, and no more; the log has the reason. */

import { HTTPException } from 'hono/http-exception'
import { problem } from './problem.ts'

/** The sub-app's onError. */
export function replyToFailure(error: Error): Response {
  if (error instanceof HTTPException && error.status === 400) return problem(400, 'The body is not JSON.')
  console.error(JSON.stringify({ event: 'operator-failure', reason: reasonOf(error) }))
  return problem(503, 'Something that this needs does not answer. Try again.', [], { 'retry-after': '2' })
}

/** The innermost error's name and text: what drizzle wraps around it has SQL and parameters in it. */
export function reasonOf(error: unknown): string {
  let innermost = error
  while (innermost instanceof Error && innermost.cause instanceof Error) innermost = innermost.cause
  if (!(innermost instanceof Error)) return 'unknown'
  return innermost.name === 'DrizzleQueryError' ? innermost.name : `${innermost.name}: ${innermost.message}`
}
