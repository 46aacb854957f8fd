/** Errors as RFC 9457 problems: the only place that makes an operator's error reply. */

/** A fault in a request: a JSON pointer into the body (RFC 6901), or the name of a query parameter. */
export interface Fault {
  pointer: string
  detail: string
}

const TITLES = {
  400: 'Bad Request',
  401: 'Unauthorized',
  404: 'Not Found',
  409: 'Conflict',
  410: 'Gone',
  413: 'Content Too Large',
  422: 'Unprocessable Content',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
} as const
export type ProblemStatus = keyof typeof TITLES

/** An `application/problem+json` reply. `detail` is shown: never put SQL, parameters or an error's message into it. */
export function problem(
  status: ProblemStatus,
  detail: string,
  errors: readonly Fault[] = [],
  headers: Record<string, string> = {},
): Response {
  const body = { type: 'about:blank', title: TITLES[status], status, detail, errors }
  return new Response(JSON.stringify(body), {
    status,
    headers: { 'content-type': 'application/problem+json', 'cache-control': 'no-store', ...headers },
  })
}

/** Values break rules. The detail names the first; `errors` has them all. */
export function unprocessable(...errors: readonly Fault[]): Response {
  const [first, ...more] = errors
  const where = first === undefined || first.pointer === '' ? 'The request' : first.pointer
  const others = more.length === 0 ? '' : ` (and ${more.length} more)`
  return problem(422, `${where}: ${first?.detail ?? 'breaks a rule'}${others}`, errors)
}

/** There is no such thing here; what another environment has is not here. */
export function notFound(what: string): Response {
  return problem(404, `There is no such ${what}.`)
}

/** It was here, and was kept for as long as the environment says. */
export function gone(what: string): Response {
  return problem(410, `The ${what} are gone: their time is over.`)
}

export function conflict(pointer: string, detail: string): Response {
  return problem(409, detail, [{ pointer, detail }])
}
