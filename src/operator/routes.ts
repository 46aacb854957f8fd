import { Hono } from 'hono'

export function createOperatorRoutes(): Hono<{ Bindings: Env }> {
  return new Hono<{ Bindings: Env }>()
}
