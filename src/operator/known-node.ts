/** Nodes whose lines are asked about: also those that were deleted, because their lines stay until retention ends. */

import { and, eq } from 'drizzle-orm'
import { nodes } from '../db/schema-nodes.ts'
import type { OperatorContext } from './context.ts'

/** Whether a node is or was in the environment of this request. */
export async function isKnownNode(c: OperatorContext, id: string): Promise<boolean> {
  const [row] = await c.var.db
    .select({ id: nodes.id })
    .from(nodes)
    .where(and(eq(nodes.id, id), eq(nodes.environmentId, c.var.environment.id)))
    .limit(1)
  return row !== undefined
}
