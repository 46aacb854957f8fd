/** Targets in a body: the schema that OpenAPI shows, and from value to nodes. For queries and carves alike. */

import { z } from '@hono/zod-openapi'
import type { NodeSet } from '../fleet/node-set.ts'
import type { NodeState } from '../fleet/standing.ts'
import { readTargets, type TargetFault, type Targets } from '../fleet/targeting.ts'
import { stepsOf } from '../lib/json-pointer.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import type { OperatorContext } from './context.ts'
import { unprocessable, type Fault } from './problem.ts'
import { TargetResolver, type TargetPlace } from '../queries/target-resolver.ts'

const terms = { type: 'array', minItems: 1, items: { type: 'object', description: 'Targets again' } } as const
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
      serials: texts,
      uuids: texts,
      osqueryVersion: { type: 'string', example: '>=5.10' },
      online: { type: 'boolean' },
      percent: { type: 'number', exclusiveMinimum: 0, maximum: 100 },
      nodeSet: { type: 'string', description: 'Name of a saved node set' },
      anyOf: terms,
      allOf: terms,
      not: { type: 'object', description: 'Targets again' },
    },
  })

/** The nodes that a body's targets mean, as faults of the body where they mean none. */
export async function nodesOf(c: OperatorContext, targets: Targets): Promise<Result<NodeSet, TargetFault[]>> {
  const set = await membersOf(c, targets)
  if (!set.ok) return set
  return set.value.size === 0 ? fail([{ pointer: '', detail: 'no node matches' }]) : set
}

/** The nodes in another state than most that a body's targets mean, among those in it. */
export async function nodesInState(
  c: OperatorContext,
  targets: Targets,
  state: NodeState,
): Promise<Result<NodeSet, TargetFault[]>> {
  const resolver = new TargetResolver({ ...targetPlace(c), state })
  const set = await resolver.resolve(targets, '')
  if (resolver.faults.length > 0) return fail(resolver.faults)
  return set.size === 0 ? fail([{ pointer: '', detail: `no ${state} node matches` }]) : ok(set)
}

/** The same, but a set without members is one. */
export async function membersOf(
  c: OperatorContext,
  targets: Targets,
): Promise<Result<NodeSet, TargetFault[]>> {
  const resolver = new TargetResolver(targetPlace(c))
  const set = await resolver.resolve(targets, '')
  return resolver.faults.length === 0 ? ok(set) : fail(resolver.faults)
}

/** The environment of a request, now. */
export function targetPlace(c: OperatorContext): TargetPlace {
  const { db, environment, nowMs } = c.var
  return { env: c.env, db, environmentId: environment.id, nowMs }
}

/** The reply to targets that do not resolve. `member` points to where the body has them. */
export function unresolved(faults: readonly TargetFault[], member = '/targets'): Response {
  return unprocessable(
    ...faults.map(({ pointer, detail }): Fault => ({ pointer: `${member}${pointer}`, detail })),
  )
}
