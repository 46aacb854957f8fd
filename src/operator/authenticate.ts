/** Who the operator is: a bearer token, of which D1 has the SHA-256 alone. */

import { createMiddleware } from 'hono/factory'
import { findOperatorToken } from '../db/operator-tokens.ts'
import { sha256HexOfText, utf8 } from '../lib/bytes.ts'
import type { OperatorHonoEnv } from './context.ts'
import { problem } from './problem.ts'

/** Lets a request with a known token on and names its actor; answers 401 otherwise. */
export const authenticate = createMiddleware<OperatorHonoEnv>(async (c, next) => {
  const token = bearerToken(c.req.raw.headers)
  const actor = token === undefined ? null : await actorOf(c.var.db, token)
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

async function actorOf(db: OperatorHonoEnv['Variables']['db'], token: string): Promise<string | null> {
  const hash = await sha256HexOfText(token)
  const found = await findOperatorToken(db, hash)
  if (found === null) return null
  // The index has found it by its hash already; this compare is what decides, and its time tells nothing.
  return crypto.subtle.timingSafeEqual(utf8(found.tokenHash), utf8(hash)) ? found.name : null
}
