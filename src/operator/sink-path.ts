/** The sink that a path names. */

import { findSink, type SinkRow } from '../db/sinks.ts'
import type { OperatorContext } from './context.ts'

export const SINKS_PATH = '/environments/{env}/sinks'

/** A sink of this environment; null where it has none of that id. */
export function sinkOfPath(c: OperatorContext, id: string): Promise<SinkRow | null> {
  return findSink(c.var.db, c.var.environment.id, id)
}
