/** What the server does to an environment's documents beside clearing what agents hold, for who shows or checks them. */

import { readBuiltIn, type BuiltInSettings } from '../config/built-in.ts'
import { readIntervals, type ManagedIntervals } from '../config/intervals.ts'
import { pausedNames } from '../db/paused-queries.ts'
import type { OperatorContext } from './context.ts'

export interface ServerAdditions {
  builtIn: BuiltInSettings
  paused: ReadonlySet<string>
  managed: ManagedIntervals
}

export async function serverAdditionsOf(c: OperatorContext): Promise<ServerAdditions> {
  const { environment, db } = c.var
  return {
    builtIn: readBuiltIn(environment.builtIn),
    paused: await pausedNames(db, environment.id),
    managed: readIntervals(environment.intervals),
  }
}
