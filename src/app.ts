/** The app of one isolate: agent routes first, then the operators', and `retry` for whatever nobody serves. */

import { Hono } from 'hono'
import { createAgentRoutes, unknownPath, type AgentRoutes } from './agent/routes.ts'
import { createOperatorRoutes } from './operator/routes.ts'
import { VERSION } from './version.ts'

type Routes = Hono<{ Bindings: Env }>

/** What answers every request of an isolate; it never rejects. */
export interface App {
  fetch(request: Request, env: Env, ctx: ExecutionContext): Response | Promise<Response>
}

/** Everything: what the operators' hostname serves, and small fleets without a guard. */
export function createApp(): App {
  const routes: Routes = new Hono<{ Bindings: Env }>()
  routes.get('/health', (c) => c.json({ ok: true, version: VERSION }))
  const agents = createAgentRoutes()
  routes.route('/', agents.app)
  routes.route('/api/v1', createOperatorRoutes())
  return appOf(agents, routes)
}

/** The agent routes alone: what the guard may reach. */
export function createAgentApp(): App {
  const routes: Routes = new Hono<{ Bindings: Env }>()
  const agents = createAgentRoutes()
  routes.route('/', agents.app)
  return appOf(agents, routes)
}

function appOf(agents: AgentRoutes, routes: Routes): App {
  routes.notFound(unknownPath)
  routes.onError((error) => {
    console.error(JSON.stringify({ event: 'unhandled', error: String(error) }))
    return unknownPath()
  })
  return { fetch: (request, env, ctx) => agents.direct(request, env, ctx) ?? routes.fetch(request, env, ctx) }
}
