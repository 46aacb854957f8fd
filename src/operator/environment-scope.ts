/** The one place that turns `{env}` into an environment: by UUID or by name, 404 otherwise. */

import { createMiddleware } from 'hono/factory'
import { findEnvironment } from '../db/environments.ts'
import { environmentIdOf } from '../snapshot/head.ts'
import { isBrownoutPath } from './brownout-path.ts'
import { directoryOf } from './directory-objects.ts'
import type { OperatorHonoEnv } from './context.ts'
import { notFound } from './problem.ts'

export const environmentScope = createMiddleware<OperatorHonoEnv>(async (c, next) => {
  // Who turns that switch finds the environment in the directory: D1 may be away.
  if (isBrownoutPath(c.req.path)) {
    const id = environmentIdOf(await directoryOf(c), (c.req.param('env') ?? '').toLowerCase())
    if (id === undefined) return notFound('environment')
    c.set('environmentId', id)
    return next()
  }
  const environment = await findEnvironment(c.var.db, c.req.param('env') ?? '')
  if (environment === null) return notFound('environment')
  c.set('environment', environment)
  c.set('environmentId', environment.id)
  await next()
})
