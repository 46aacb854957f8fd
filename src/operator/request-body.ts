/** Bodies of operators' requests: limited, and JSON whatever their Content-Type says (curl sends a form's). */

import { createMiddleware } from 'hono/factory'
import { concatBytes, strictTextOf } from '../lib/bytes.ts'
import type { OperatorHonoEnv } from './context.ts'
import { problem } from './problem.ts'

/** A query's SQL is 64 KiB at most; thousands of node ids fit. */
const MAX_BODY_BYTES = 256 * 1_024
/** As written, before whitespace is taken out; agents take less than 1 MiB without it (spec 3.1). */
const MAX_CONFIGURATION_BODY_BYTES = 4 * 1_024 * 1_024
/** A document, and a document with its layers. */
const CONFIGURATION_PATH = /\/configuration(\/(plan|apply))?$/

/** Reads the body under its limit and hands it on as JSON text. */
export const limitBody = createMiddleware<OperatorHonoEnv>(async (c, next) => {
  if (c.req.raw.body === null) return next()
  const maxBytes = CONFIGURATION_PATH.test(c.req.path) ? MAX_CONFIGURATION_BODY_BYTES : MAX_BODY_BYTES
  const parts: Uint8Array[] = []
  let total = 0
  for await (const part of c.req.raw.body) {
    total += part.length
    if (total > maxBytes) return problem(413, `The body is larger than ${maxBytes} bytes.`)
    parts.push(part)
  }
  const text = strictTextOf(concatBytes(parts))
  if (text === null) return problem(400, 'The body is not UTF-8.')
  const headers = new Headers(c.req.raw.headers)
  headers.set('content-type', 'application/json')
  c.req.raw = new Request(c.req.url, { method: c.req.method, headers, body: text })
  await next()
})
