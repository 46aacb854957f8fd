/** The app of one isolate: agent routes first, then the operators', and `retry` for whatever nobody serves. */

import { Hono } from 'hono'
import { createAgentRoutes, unknownPath } from './agent/routes.ts'
import { createOperatorRoutes } from './operator/routes.ts'
import { VERSION } from './version.ts'

export type App = Hono<{ Bindings: Env }>

/** Everything: what the operators' hostname serves, and small fleets without a guard. */
export function createApp(): App {
  const app: App = new Hono<{ Bindings: Env }>()
  app.get('/health', (c) => c.json({ ok: true, version: VERSION }))
  app.route('/', createAgentRoutes())
  app.route('/api/v1', createOperatorRoutes())
  return withLastResort(app)
}

/** The agent routes alone: what the guard may reach. */
export function createAgentApp(): App {
  const app: App = new Hono<{ Bindings: Env }>()
  app.route('/', createAgentRoutes())
  return withLastResort(app)
}

function withLastResort(app: App): App {
  app.notFound(unknownPath)
  app.onError((error) => {
    console.error(JSON.stringify({ event: 'unhandled', error: String(error) }))
    return unknownPath()
  })
  return app
}
