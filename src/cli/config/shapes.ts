/** Replies of the admin route as far as `npm run config` reads them. */

import { z } from 'zod'

import { CliFailure } from '../failure.ts'

const finding = z.object({ pointer: z.string(), detail: z.string() })
const counted = {
  result: z.enum(['created', 'unchanged']),
  version: z.number(),
  counts: z.record(
    z.string(),
    z.object({ created: z.number(), updated: z.number(), unchanged: z.number(), deleted: z.number() }),
  ),
  items: z.array(
    z.object({
      kind: z.string(),
      pack: z.string().nullish(),
      name: z.string(),
      change: z.enum(['created', 'updated', 'deleted']),
    }),
  ),
  warnings: z.array(finding),
  /** Servers of before there were managed intervals say nothing of them. */
  intervals: z.enum(['updated', 'unchanged']).nullish(),
}

const fleetDay = z.object({ nodes: z.number(), cpuMs: z.number().nullable(), lines: z.number().nullable() })
const fleetSum = z.object({ cpuMs: z.number(), lines: z.number(), unknown: z.number() })

export const planShape = z.object({
  ...counted,
  changes: z.array(z.object({ pointer: z.string(), change: z.string() })),
  nodes: z.number(),
  nodesChanged: z.number(),
  cleared: z.array(z.object({ pointer: z.string(), value: z.unknown() })),
  untilRestart: z.array(z.object({ pointer: z.string(), reason: z.string() })),
  layers: z.array(z.object({ name: z.string(), nodes: z.number() })),
  combinations: z.array(
    z.object({
      layers: z.array(z.string()),
      nodes: z.number(),
      nodesChanged: z.number(),
      bytes: z.number(),
    }),
  ),
  estimate: z
    .object({
      queries: z.array(
        z.object({ query: z.string(), rating: z.string(), before: fleetDay, after: fleetDay }),
      ),
      before: fleetSum,
      after: fleetSum,
    })
    .nullish(),
})
export const appliedShape = z.object({
  ...counted,
  live: z.boolean(),
  rollout: z.object({ id: z.string(), state: z.string() }).nullish(),
})
/** What the server manages, as `intervals.yaml` says it. */
export const intervalsShape = z.object({
  managed: z.boolean(),
  config_tls_refresh: z.number().nullable(),
  distributed_interval: z.number().nullable(),
  logger_tls_period: z.number().nullable(),
  layers: z.record(z.string(), z.record(z.string(), z.number())),
})
export const problemShape = z.object({ detail: z.string(), errors: z.array(finding) })

export type Counted = Pick<z.infer<typeof planShape>, 'counts' | 'items' | 'intervals'>
export type Plan = z.infer<typeof planShape>

/** A reply of this shape; a failure where the server says something else. */
export function shaped<Shape extends z.ZodType>(shape: Shape, text: string): z.infer<Shape> {
  const parsed = shape.safeParse(jsonOf(text))
  if (!parsed.success) throw new CliFailure('The server answered something that is not understood here.')
  return parsed.data
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Not JSON, so of no shape either.
    return undefined
  }
}
