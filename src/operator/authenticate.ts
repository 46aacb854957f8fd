/** Who the operator is: a bearer token, of which D1 has the SHA-256 alone. */

import { createMiddleware } from 'hono/factory'
import { findOperatorToken } from '../db/operator-tokens.ts'
import { sha256HexOfText, utf8 } from '../lib/bytes.ts'
import { Deadline } from '../lib/deadline.ts'
import { isBrownoutPath } from './brownout-path.ts'
import type { OperatorContext, OperatorHonoEnv } from './context.ts'
import { operatorByDirectory } from './directory-objects.ts'
import { reasonOf } from './failure.ts'
import { problem } from './problem.ts'

/** How long D1 is waited for where there is another way. */
const D1_WITHIN_MS = 2_000

/** Lets a request with a known token on and names its actor; answers 401 otherwise. */
export const authenticate = createMiddleware<OperatorHonoEnv>(async (c, next) => {
  const token = bearerToken(c.req.raw.headers)
  const actor = token === undefined ? null : await actorOf(c, token)
  if (actor === null) {
    return problem(401, 'An operator token is required: Authorization: Bearer <token>.', [], {
      'www-authenticate': 'Bearer realm="osquery-edge"',
    })
  }
  c.set('actor', actor)
  await next()
})

/** The subprotocol that this server speaks. A browser's WebSocket can say its token only as another one beside it. */
export const SUBPROTOCOL = 'osquery-edge'
const TOKEN_SUBPROTOCOL = /(?:^|,) *bearer\.(\S+?) *(?:,|$)/

/** The operator token of a request: `Authorization`, or `Sec-WebSocket-Protocol: osquery-edge, bearer.<token>`. */
export function bearerToken(headers: Headers): string | undefined {
  const header = headers.get('authorization')
  if (header !== null) return /^Bearer +(\S+)\s*$/i.exec(header)?.[1]
  if (headers.get('upgrade')?.toLowerCase() !== 'websocket') return undefined
  return TOKEN_SUBPROTOCOL.exec(headers.get('sec-websocket-protocol') ?? '')?.[1]
}

async function actorOf(c: OperatorContext, token: string): Promise<string | null> {
  const hash = await sha256HexOfText(token)
  if (!isBrownoutPath(c.req.path)) return actorInD1(c, hash)
  try {
    return await new Deadline(D1_WITHIN_MS).run(actorInD1(c, hash))
  } catch (error) {
    // D1 is away, and this is the switch for such times. Who is known there is whom D1 knew last: a revocation needs D1,
    // too, and is told to the directory with it.
    console.warn(JSON.stringify({ event: 'operator-by-directory', reason: reasonOf(error) }))
    return operatorByDirectory(c, hash)
  }
}

async function actorInD1(c: OperatorContext, hash: string): Promise<string | null> {
  const found = await findOperatorToken(c.var.db, hash)
  if (found === null) return null
  // The index has found it by its hash already; this compare is what decides, and its time tells nothing.
  return crypto.subtle.timingSafeEqual(utf8(found.tokenHash), utf8(hash)) ? found.name : null
}
