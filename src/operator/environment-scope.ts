/** The one place that turns `{env}` into an environment: by UUID or by name, 404 otherwise. */

import { createMiddleware } from 'hono/factory'
import { findEnvironment } from '../db/environments.ts'
import type { OperatorHonoEnv } from './context.ts'
import { notFound } from './problem.ts'

export const environmentScope = createMiddleware<OperatorHonoEnv>(async (c, next) => {
  const environment = await findEnvironment(c.var.db, c.req.param('env') ?? '')
  if (environment === null) return notFound('environment')
  c.set('environment', environment)
  await next()
})
