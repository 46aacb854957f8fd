/** GET /environments/{env}/logs/tail: lines as they come in, as NDJSON or over a WebSocket. */

import { createRoute, z } from '@hono/zod-openapi'
import { sha256HexOfText } from '../lib/bytes.ts'
import { TAIL_HEADER } from '../logs/tail/tail.ts'
import type { TailRequest } from '../logs/tail/viewer.ts'
import { bearerToken, SUBPROTOCOL } from './authenticate.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironment, replies } from './describe.ts'
import { bothOrNeither, lineFilterOf, lineParameters, nodeParameter, type LineQuery } from './log-filter.ts'
import { problem } from './problem.ts'

const tailQuery = z.object({ node: nodeParameter, ...lineParameters }).check(bothOrNeither)

export function addTailRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/environments/{env}/logs/tail',
      request: { params: inEnvironment, query: tailQuery },
      responses: replies(
        200,
        'NDJSON: a start, lines as GET …/logs has them, heartbeats, gaps, the end; or a WebSocket',
        z.string(),
      ),
    }),
    (c) => connect(c, c.req.valid('query')),
  )
}

async function connect(c: OperatorContext, query: LineQuery): Promise<Response> {
  const environmentId = c.var.environment.id
  const token = bearerToken(c.req.raw.headers)
  const offered = (c.req.header('sec-websocket-protocol') ?? '').split(',').map((name) => name.trim())
  const asked: TailRequest = {
    format: 1,
    environmentId,
    filter: { ...lineFilterOf(query), sinceMs: null, untilMs: null },
    tokenHash: token === undefined ? null : await sha256HexOfText(token),
    // The server has to take one of the subprotocols that a browser offers, and the token is not the one.
    subprotocol: offered.includes(SUBPROTOCOL) ? SUBPROTOCOL : null,
  }
  const headers = new Headers({ [TAIL_HEADER]: headerTextOf(asked) })
  const upgrade = c.req.header('upgrade')
  if (upgrade !== undefined) headers.set('upgrade', upgrade)
  const response = await c.env.TAIL.getByName(environmentId).fetch('https://tail/', { headers })
  if (response.status !== 503) return response
  return problem(503, 'There are as many viewers of this environment as may be at once.', [], {
    'retry-after': '30',
  })
}

/** JSON in ASCII: a header holds nothing else, and a searched text may. */
function headerTextOf(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    /[^\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
