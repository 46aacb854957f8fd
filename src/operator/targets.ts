/** Targets in a body: the schema that OpenAPI shows, and from value to nodes. For queries and carves alike. */

import { z } from '@hono/zod-openapi'
import { resolveTargets } from '../db/targets.ts'
import type { NodeSet } from '../fleet/node-set.ts'
import { readTargets, type TargetFault, type Targets } from '../fleet/targeting.ts'
import { stepsOf } from '../lib/json-pointer.ts'
import type { Result } from '../lib/result.ts'
import type { OperatorContext } from './context.ts'
import { unprocessable, type Fault } from './problem.ts'

const texts = { type: 'array', minItems: 1, items: { type: 'string' } } as const

/** Reads `targets`; the faults point into it. */
export const targetsSchema = z
  .unknown()
  .transform((value, context): Targets => {
    const targets = readTargets(value)
    if (targets.ok) return targets.value
    for (const { pointer, detail } of targets.reason) {
      const path = stepsOf(pointer)
      context.addIssue({ code: 'custom', message: detail, path })
    }
    return z.NEVER
  })
  .openapi({
    type: 'object',
    minProperties: 1,
    maxProperties: 1,
    additionalProperties: false,
    properties: {
      all: { type: 'boolean', enum: [true] },
      platforms: texts,
      tags: texts,
      nodes: texts,
      hostnames: texts,
    },
  })

/** The nodes that a body's targets mean, as faults of the body where they mean none. */
export async function nodesOf(c: OperatorContext, targets: Targets): Promise<Result<NodeSet, TargetFault[]>> {
  return resolveTargets(c.var.db, c.var.environment.id, targets)
}

/** The reply to targets that do not resolve. */
export function unresolved(faults: readonly TargetFault[]): Response {
  return unprocessable(
    ...faults.map(({ pointer, detail }): Fault => ({ pointer: `/targets${pointer}`, detail })),
  )
}
