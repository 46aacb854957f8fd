/** What requests about rollouts hold, and what replies show of them. */

import { z } from '@hono/zod-openapi'
import { planOfRow, progressOfRow, type GateLook, type RolloutReason } from '../config/rollout-moves.ts'
import type { RolloutRow } from '../db/rollouts.ts'
import { ROLLOUT_STATES, stepTimeMs } from '../fleet/rollout.ts'
import { GATES } from '../fleet/rollout-gates.ts'
import { MAX_STEPS } from '../fleet/rollout-plan.ts'
import { rfc3339, rfc3339OrNull } from '../lib/time.ts'
import { time } from './describe.ts'
import { targetsSchema } from './targets.ts'

/** A month; longer is no rollout but two configurations, and those are layers. */
const MAX_WAIT_S = 30 * 24 * 3_600

const stepSchema = z.strictObject({
  percent: z.number().gt(0).max(100),
  waitSeconds: z.int().min(0).max(MAX_WAIT_S),
})
const share = z.number().min(0).max(1).nullable().optional()
const ratio = z.number().min(1).nullable().optional()

/** How a version goes to the nodes. Every member may be left out. */
export const rolloutBody = z
  .strictObject({
    canary: targetsSchema.optional(),
    steps: z
      .array(stepSchema)
      .min(1)
      .max(MAX_STEPS)
      .refine(isAscending, 'each step must be a larger percentage than the one before')
      .transform((steps) => steps.map(({ percent, waitSeconds }) => ({ percent, waitS: waitSeconds })))
      .optional(),
    gates: z
      .strictObject({
        documentReceived: share,
        denylisted: share,
        queryErrors: share,
        checkInsLost: share,
        cpu: ratio,
        memory: ratio,
        logVolume: ratio,
      })
      .optional(),
    whenUnknown: z.enum(['hold', 'pass']).optional(),
    autoHalt: z.boolean().optional(),
    onHalt: z.enum(['rollback', 'freeze']).optional(),
  })
  .openapi('WantedRollout')

export const rolloutSchema = z
  .object({
    id: z.string(),
    version: z.int(),
    stableVersion: z.int().openapi({ description: 'What all others get' }),
    state: z.enum(ROLLOUT_STATES),
    step: z.int().openapi({ description: 'From 1' }),
    steps: z.array(z.object({ percent: z.number(), waitSeconds: z.int() })),
    stepSince: time,
    stepSeconds: z.int().openapi({ description: 'Of the wait that are over' }),
    members: z.int().optional().openapi({ description: 'Nodes that were given the version, ever' }),
    served: z.boolean().openapi({ description: 'Whether members get the version now' }),
    canary: z.unknown(),
    gates: z
      .array(
        z.object({
          gate: z.enum(GATES),
          status: z.enum(['pass', 'hold', 'fail', 'unknown', 'off']),
          value: z.number().nullable(),
          limit: z.number().nullable(),
          detail: z.string(),
        }),
      )
      .openapi({ description: 'What they said last' }),
    gatesAt: time.nullable(),
    whenUnknown: z.string(),
    autoHalt: z.boolean(),
    onHalt: z.string(),
    reason: z.object({ by: z.string(), detail: z.string() }).nullable(),
    clearing: z
      .boolean()
      .openapi({ description: 'Taken back, and some members may not have fetched what clears it yet' }),
    message: z.string(),
    createdAt: time,
    createdBy: z.string(),
    endedAt: time.nullable(),
  })
  .openapi('Rollout')

/** As it is shown. */
export function rolloutView(row: RolloutRow, nowMs: number, look: GateLook | null = storedLook(row)) {
  const plan = planOfRow(row)
  const { id, version, stableVersion, state, served, clearing, message, createdBy } = row
  return {
    id,
    version,
    stableVersion,
    state,
    step: row.step + 1,
    steps: plan.steps.map(({ percent, waitS }) => ({ percent, waitSeconds: waitS })),
    stepSince: rfc3339(row.stepSinceMs),
    stepSeconds: Math.floor(stepTimeMs(progressOfRow(row), row.endedAtMs ?? nowMs) / 1_000),
    served,
    canary: plan.canary,
    gates: look?.readings ?? [],
    gatesAt: rfc3339OrNull(look?.atMs ?? null),
    whenUnknown: plan.whenUnknown,
    autoHalt: plan.autoHalt,
    onHalt: plan.onHalt,
    reason: row.reason === null ? null : (JSON.parse(row.reason) as RolloutReason),
    clearing,
    message,
    createdAt: rfc3339(row.createdAtMs),
    createdBy,
    endedAt: rfc3339OrNull(row.endedAtMs),
  }
}

export function storedLook({ gates }: RolloutRow): GateLook | null {
  return gates === null ? null : (JSON.parse(gates) as GateLook)
}

function isAscending(steps: readonly { percent: number }[]): boolean {
  return steps.every(({ percent }, index) => percent > (steps[index - 1]?.percent ?? 0))
}
