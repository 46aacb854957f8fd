/** An enroll secret as operators see it: all but its text. */

import { z } from '@hono/zod-openapi'
import { nodesByQuota, quotaGroupOf, type EnrollSecretRow } from '../db/enroll-secrets.ts'
import { SECRET_STATES, stateOfSecret, type SecretRules } from '../fleet/enroll-rules.ts'
import { rfc3339, rfc3339OrNull } from '../lib/time.ts'
import type { OperatorContext } from './context.ts'
import { time } from './describe.ts'

export const secretSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    note: z.string(),
    state: z.enum(SECRET_STATES).openapi({ description: 'expiring: within seven days' }),
    createdAt: time,
    expiresAt: time.nullable(),
    revokedAt: time.nullable(),
    rotatedFrom: z.string().nullable().openapi({ description: 'Id of the secret that it follows' }),
    quota: z.int().nullable(),
    nodes: z
      .int()
      .openapi({ description: 'That it let in and that are there still, those of its predecessors with it' }),
    tags: z.array(z.string()),
    platforms: z.array(z.string()).nullable(),
    cidrs: z.array(z.string()).nullable(),
    serialCount: z.int().nullable().openapi({ description: 'null: any serial' }),
    enrollCount: z.int().openapi({ description: 'Enrolls since ever, some two minutes late' }),
    refusedCount: z.int().openapi({ description: 'Enrolls that a rule refused, or its revocation' }),
    lastUsedAt: time.nullable(),
    lastRefusedAt: time.nullable(),
  })
  .openapi('EnrollSecret')

/** Secrets with the count of their nodes. */
export async function shownSecrets(c: OperatorContext, rows: readonly EnrollSecretRow[]) {
  const nodes = await nodesByQuota(c.var.db, rows.map(quotaGroupOf))
  return rows.map((row) => shown(row, nodes.get(quotaGroupOf(row)) ?? 0, c.var.nowMs))
}

/** One secret with the count of its nodes. */
export async function shownSecret(c: OperatorContext, row: EnrollSecretRow) {
  const nodes = await nodesByQuota(c.var.db, [quotaGroupOf(row)])
  return shown(row, nodes.get(quotaGroupOf(row)) ?? 0, c.var.nowMs)
}

function shown(row: EnrollSecretRow, nodes: number, nowMs: number) {
  const { quota = null, tags = [], platforms = null, cidrs = null } = JSON.parse(row.rules) as SecretRules
  return {
    id: row.id,
    name: row.name,
    note: row.note,
    state: stateOfSecret({ ...row, quota, nodes }, nowMs),
    createdAt: rfc3339(row.createdAtMs),
    expiresAt: rfc3339OrNull(row.expiresAtMs),
    revokedAt: rfc3339OrNull(row.revokedAtMs),
    rotatedFrom: row.predecessorId,
    quota,
    nodes,
    tags,
    platforms,
    cidrs,
    serialCount: row.serialCount === 0 ? null : row.serialCount,
    enrollCount: row.enrollCount,
    refusedCount: row.refusedCount,
    lastUsedAt: rfc3339OrNull(row.lastUsedAtMs),
    lastRefusedAt: rfc3339OrNull(row.lastRefusedAtMs),
  }
}
