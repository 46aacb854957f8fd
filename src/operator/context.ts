/** What every operator handler finds in its context, and the router that resources add their routes to. */

import type { OpenAPIHono } from '@hono/zod-openapi'
import type { Context } from 'hono'
import type { ControlDb } from '../db/control.ts'
import type { EnvironmentRow } from '../db/environments.ts'

export interface OperatorHonoEnv {
  Bindings: Env
  Variables: {
    db: ControlDb
    /** The name of the token that asks: the audit's actor. */
    actor: string
    /** The environment that `{env}` names. Set under /environments/{env} only. */
    environment: EnvironmentRow
    /** Its id, which is known with D1 away, too. Set where `environment` is, and for the brownout switch. */
    environmentId: string
    /** Server time of the request. */
    nowMs: number
  }
}

export type OperatorRoutes = OpenAPIHono<OperatorHonoEnv>
export type OperatorContext = Context<OperatorHonoEnv>
