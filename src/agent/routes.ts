/**
 * Where the agent endpoints live: our own paths, the versioned alias, and the layouts of osctrl and Zentral, so that
 * a fleet moves here by changing DNS. This is also where whatever goes wrong becomes `retry` (design R2).
 */

import { Hono, type Context } from 'hono'
import { Deadline } from '../lib/deadline.ts'
import { PresenceBuffer } from '../presence/buffer.ts'
import { createSnapshotSource } from '../snapshot/source.ts'
import { carveBegin } from './carve-begin.ts'
import { carveBlock } from './carve-block.ts'
import { config } from './config.ts'
import { ANSWER_WITHIN_MS } from './constants.ts'
import type { AgentContext, AgentEndpoint } from './context.ts'
import { distributedRead } from './distributed-read.ts'
import { distributedWrite } from './distributed-write.ts'
import { enroll } from './enroll.ts'
import { log } from './log.ts'
import { retry, type AgentOutcome } from './outcome.ts'
import { toResponse } from './reply.ts'
import { loadSigningKeys } from './signing-keys.ts'

const OURS: Record<string, AgentEndpoint> = {
  enroll,
  config,
  log,
  'distributed/read': distributedRead,
  'distributed/write': distributedWrite,
  'carve/begin': carveBegin,
  'carve/block': carveBlock,
}

/** Zentral's names for the same (`/public/osquery/…`). */
const ZENTRAL: Record<string, AgentEndpoint> = {
  enroll,
  config,
  log,
  'distributed/read': distributedRead,
  'distributed/write': distributedWrite,
  'carver/start': carveBegin,
  'carver/continue': carveBlock,
}

/** osctrl's names (`/{environment}/…`). */
const OSCTRL: Record<string, AgentEndpoint> = {
  enroll,
  config,
  log,
  read: distributedRead,
  write: distributedWrite,
  init: carveBegin,
  block: carveBlock,
}

/** First segments that are no environment: they have routes of their own. */
const RESERVED_SEGMENTS = new Set([
  'api',
  'public',
  'health',
  'enroll',
  'console',
  'assets',
  'metrics',
  'mcp',
])

type AgentApp = Hono<{ Bindings: Env }>
type HonoContext = Context<{ Bindings: Env }>

/** The agent routes of one isolate, with its snapshot and presence memory. Everything under them answers `retry`. */
export function createAgentRoutes(): AgentApp {
  const app: AgentApp = new Hono<{ Bindings: Env }>()
  const isolate = { snapshots: createSnapshotSource(), presence: new PresenceBuffer() }
  const handle = (endpoint: AgentEndpoint) => (c: HonoContext) => serve(c, endpoint, isolate)

  for (const root of ['/api/osquery', '/api/v1/osquery']) {
    for (const [path, endpoint] of Object.entries(OURS)) app.all(`${root}/${path}`, handle(endpoint))
    app.all(`${root}/*`, unknownPath)
  }
  for (const [path, endpoint] of Object.entries(ZENTRAL)) app.all(`/public/osquery/${path}`, handle(endpoint))
  app.all('/public/osquery/*', unknownPath)
  for (const [path, endpoint] of Object.entries(OSCTRL)) {
    app.all(`/:environment/${path}`, (c, next) =>
      RESERVED_SEGMENTS.has(c.req.param('environment')) ? next() : serve(c, endpoint, isolate),
    )
  }
  return app
}

/** What any path that nobody serves answers: an agent that was pointed at it must keep what it has. */
export function unknownPath(): Response {
  return toResponse(retry({ kind: 'unknown-path' }))
}

async function serve(
  c: HonoContext,
  endpoint: AgentEndpoint,
  isolate: Pick<AgentContext, 'snapshots' | 'presence'>,
): Promise<Response> {
  const { raw: request } = c.req
  if (request.method !== 'POST') return toResponse(retry({ kind: 'method' }))
  const receivedAtMs = Date.now()
  const deadline = new Deadline(ANSWER_WITHIN_MS, receivedAtMs)
  try {
    const context: AgentContext = {
      ...isolate,
      request,
      env: c.env,
      keys: await loadSigningKeys(c.env.SIGNING_KEYS),
      deadline,
      environmentReference: c.req.param('environment') ?? null,
      receivedAtMs,
      waitUntil: (work) => c.executionCtx.waitUntil(work),
    }
    return toResponse(noted(c, await deadline.run(endpoint(context))))
  } catch (error) {
    return toResponse(noted(c, retry({ kind: 'unavailable', what: nameOf(error) }), error))
  }
}

/** Failures are worth a log line each; what is said every second by thousands of agents is not. */
function noted(c: HonoContext, outcome: AgentOutcome, error?: unknown): AgentOutcome {
  if (outcome.kind === 'retry' || error !== undefined) {
    const { reason } = outcome as Extract<AgentOutcome, { kind: 'retry' }>
    const detail = error instanceof Error ? error.message : undefined
    console.warn(JSON.stringify({ event: 'agent-retry', path: c.req.path, reason, detail }))
  }
  return outcome
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : 'unknown'
}
