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
import { EnrollDamper } from './enroll-damper.ts'
import { EnrollUsage } from './enroll-usage.ts'
import { Holds } from './holds.ts'
import { log } from './log.ts'
import { retry, type AgentOutcome } from './outcome.ts'
import { toResponse } from './reply.ts'
import { knownSigningKeys, loadSigningKeys, type SigningKeys } from './signing-keys.ts'

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
type Isolate = Pick<AgentContext, 'snapshots' | 'presence' | 'holds' | 'enrolls' | 'damper'>

export interface AgentRoutes {
  /** Every agent route, for mounting. Everything under them answers `retry`. */
  app: AgentApp
  /**
   * Answers a request to a path that names no environment; null where the path is another. What nearly every request
   * of a fleet is for: one look into a map instead of the router's walk, which costs as much as checking a node key.
   */
  direct(request: Request, env: Env, ctx: ExecutionContext): Response | Promise<Response> | null
}

/** The agent routes of one isolate, with its snapshot and presence memory. */
export function createAgentRoutes(): AgentRoutes {
  const app: AgentApp = new Hono<{ Bindings: Env }>()
  const isolate: Isolate = {
    snapshots: createSnapshotSource(),
    presence: new PresenceBuffer(),
    holds: new Holds(),
    enrolls: new EnrollUsage(),
    damper: new EnrollDamper(),
  }
  const paths = fixedPaths()
  for (const [path, endpoint] of paths) app.all(path, (c) => serve(ofHono(c), endpoint, isolate))
  for (const root of FIXED_ROOTS) app.all(`${root}/*`, unknownPath)
  for (const [path, endpoint] of Object.entries(OSCTRL)) {
    app.all(`/:environment/${path}`, (c, next) => {
      const environment = c.req.param('environment')
      return RESERVED_SEGMENTS.has(environment)
        ? next()
        : serve(ofHono(c, environment.toLowerCase()), endpoint, isolate)
    })
  }
  return {
    app,
    direct(request, env, ctx) {
      const endpoint = paths.get(pathOf(request.url))
      return endpoint === undefined
        ? null
        : serve({ request, env, ctx, environmentReference: null }, endpoint, isolate)
    },
  }
}

/** What is said again and again to agents of whom operators know, and counted elsewhere. */
const QUIET: ReadonlySet<string> = new Set(['enroll-refused', 'awaits-approval'])

const FIXED_ROOTS = ['/api/osquery', '/api/v1/osquery', '/public/osquery']

/** The endpoints whose paths name no environment. */
function fixedPaths(): Map<string, AgentEndpoint> {
  return new Map(
    FIXED_ROOTS.flatMap((root) =>
      Object.entries(root.startsWith('/public') ? ZENTRAL : OURS).map(
        ([path, endpoint]) => [`${root}/${path}`, endpoint] as const,
      ),
    ),
  )
}

/** The path of an absolute URL, as it stands there. */
function pathOf(url: string): string {
  const start = url.indexOf('/', url.indexOf('://') + 3)
  const query = url.indexOf('?', start)
  return query === -1 ? url.slice(start) : url.slice(start, query)
}

/** What any path that nobody serves answers: an agent that was pointed at it must keep what it has. */
export function unknownPath(): Response {
  return toResponse(retry({ kind: 'unknown-path' }))
}

/** A request on its way to an endpoint. */
interface Incoming {
  request: Request
  env: Env
  ctx: Pick<ExecutionContext, 'waitUntil'>
  environmentReference: string | null
}

function ofHono(c: Context<{ Bindings: Env }>, environmentReference: string | null = null): Incoming {
  return { request: c.req.raw, env: c.env, ctx: c.executionCtx, environmentReference }
}

function serve(incoming: Incoming, endpoint: AgentEndpoint, isolate: Isolate): Response | Promise<Response> {
  const { request, env } = incoming
  if (request.method !== 'POST') return toResponse(retry({ kind: 'method' }))
  const keys = knownSigningKeys(env.SIGNING_KEYS)
  return keys === undefined
    ? serveFirst(incoming, endpoint, isolate)
    : serveWith(keys, incoming, endpoint, isolate)
}

/** The first requests of an isolate wait for the signing keys. */
async function serveFirst(incoming: Incoming, endpoint: AgentEndpoint, isolate: Isolate): Promise<Response> {
  try {
    return await serveWith(await loadSigningKeys(incoming.env.SIGNING_KEYS), incoming, endpoint, isolate)
  } catch (error) {
    return failed(incoming.request, error)
  }
}

function serveWith(
  keys: SigningKeys,
  { request, env, ctx, environmentReference }: Incoming,
  endpoint: AgentEndpoint,
  { snapshots, presence, holds, enrolls, damper }: Isolate,
): Response | Promise<Response> {
  const receivedAtMs = Date.now()
  const context: AgentContext = {
    request,
    env,
    keys,
    deadline: new Deadline(ANSWER_WITHIN_MS, receivedAtMs),
    snapshots,
    presence,
    holds,
    enrolls,
    damper,
    environmentReference,
    receivedAtMs,
    waitUntil: (work) => ctx.waitUntil(work),
  }
  try {
    const outcome = endpoint(context)
    return outcome instanceof Promise ? settled(context, outcome) : toResponse(noted(request, outcome))
  } catch (error) {
    return failed(request, error)
  }
}

async function settled(
  { request, deadline }: AgentContext,
  outcome: Promise<AgentOutcome>,
): Promise<Response> {
  try {
    return toResponse(noted(request, await deadline.run(outcome)))
  } catch (error) {
    return failed(request, error)
  }
}

function failed(request: Request, error: unknown): Response {
  return toResponse(noted(request, retry({ kind: 'unavailable', what: nameOf(error) }), error))
}

/** Failures are worth a log line each; what is said every second by thousands of agents is counted elsewhere. */
function noted(request: Request, outcome: AgentOutcome, error?: unknown): AgentOutcome {
  if ((outcome.kind === 'retry' && !QUIET.has(outcome.reason.kind)) || error !== undefined) {
    const { reason } = outcome as Extract<AgentOutcome, { kind: 'retry' }>
    const detail = error instanceof Error ? error.message : undefined
    console.warn(JSON.stringify({ event: 'agent-retry', path: pathOf(request.url), reason, detail }))
  }
  return outcome
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : 'unknown'
}
