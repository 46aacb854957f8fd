/** What revoking the keys of one environment and those of one signing key share: bodies, previews, guards, views. */

import { z } from '@hono/zod-openapi'
import { and, eq, type SQL } from 'drizzle-orm'
import {
  activeSecrets,
  countHolders,
  countHoldersBySecret,
  holders,
  TAKEN_BACK_WITHIN_S,
  type KeyRevocationRow,
} from '../db/key-revocations.ts'
import { nodes } from '../db/schema-nodes.ts'
import { ordinalsInPages } from '../db/targets.ts'
import { defaultOverS, MAX_OVER_S } from '../fleet/key-revocation.ts'
import { Deadline } from '../lib/deadline.ts'
import { rfc3339 } from '../lib/time.ts'
import { TargetResolver } from '../queries/target-resolver.ts'
import { isEnrollPaused } from '../snapshot/head.ts'
import { DIRECTORY_NAME } from '../snapshot/keys.ts'
import type { OperatorContext } from './context.ts'
import { time } from './describe.ts'
import { unprocessable, type Fault } from './problem.ts'

/** Environments whose presence one preview asks; with more it does not say who is online. */
const MAX_ENVIRONMENTS_ASKED = 20
/** An object that does not say in this time is an outage. */
const DIRECTORY_WITHIN_MS = 3_000

export const overSeconds = z
  .int('is not a whole number')
  .min(0, 'is less than 0')
  .max(MAX_OVER_S, `is more than ${MAX_OVER_S}`)
  .optional()
  .openapi({
    description:
      'Over how long it reaches all nodes, so that they do not enroll at once. Default: 50 nodes a second',
  })
/** What a change is guarded by. */
export const guarded = {
  maxNodes: z.int('is not a whole number').min(0, 'is less than 0').openapi({
    description: 'Nothing is revoked where it would be more nodes: the number that the preview says',
  }),
  force: z.boolean().default(false).openapi({ description: 'Also where nodes would be locked out' }),
}

export const planSchema = z
  .object({
    issuedBefore: time,
    nodes: z.int().openapi({ description: 'Nodes that have to enroll anew' }),
    online: z.int().nullable().openapi({ description: 'Of them; null: too many environments to ask' }),
    lockedOut: z
      .int()
      .openapi({ description: 'Of them, those that no active enroll secret is known to let in again' }),
    overSeconds: z.int(),
    doneAt: time,
    warnings: z.array(z.string()),
  })
  .openapi('KeyRevocationPlan')

export const revocationSchema = z
  .object({
    id: z.string(),
    signingKey: z.string().nullable(),
    issuedBefore: time,
    nodes: z.int().openapi({ description: 'It was meant for so many' }),
    remaining: z.int().openapi({ description: 'Of those, so many have not enrolled anew yet' }),
    from: time,
    overSeconds: z.int(),
    doneAt: time,
    mayBeTakenBackUntil: time,
    createdAt: time,
    createdBy: z.string(),
  })
  .openapi('KeyRevocation')

/** Of whom what is to be revoked; null: of all environments. */
export interface Wanted {
  environmentId: string | null
  keyId?: number
  issuedBeforeS: number
  overSeconds?: number | undefined
}

export interface RevocationPlan extends Wanted {
  nodes: number
  online: number | null
  lockedOut: number
  /** Of environments in which a brownout lets nobody enroll now. */
  waiting: number
  fromS: number
  overS: number
}

/** What a revocation would do now. */
export async function planOf(c: OperatorContext, wanted: Wanted): Promise<RevocationPlan> {
  const { environmentId, issuedBeforeS, keyId } = wanted
  const { db, nowMs } = c.var
  const meant = holders(issuedBeforeS, keyId)
  const bySecret = await countHoldersBySecret(db, environmentId, meant)
  const active = await activeSecrets(db, environmentId, nowMs)
  const activeIds = new Set(active.map(({ id }) => id))
  const withSecret = new Set(active.map((secret) => secret.environmentId))
  const isOut = (row: (typeof bySecret)[number]) =>
    row.secretId === null ? !withSecret.has(row.environmentId) : !activeIds.has(row.secretId)
  const paused = await pausedEnvironments(c)
  const count = sum(bySecret)
  return {
    ...wanted,
    nodes: count,
    online: await onlineOf(c, [...new Set(bySecret.map((row) => row.environmentId))], meant),
    lockedOut: sum(bySecret.filter(isOut)),
    waiting: sum(bySecret.filter((row) => paused.has(row.environmentId))),
    fromS: Math.floor(nowMs / 1_000),
    overS: wanted.overSeconds ?? defaultOverS(count),
  }
}

/** Environments in which nobody can enroll now. Throws where the directory does not answer: a guard has to know. */
async function pausedEnvironments(c: OperatorContext): Promise<Set<string>> {
  const read = c.env.DIRECTORY.getByName(DIRECTORY_NAME).read()
  const { environments } = await new Deadline(DIRECTORY_WITHIN_MS).run(read)
  const paused = environments.filter((environment) => isEnrollPaused(environment, c.var.nowMs))
  return new Set(paused.map(({ id }) => id))
}

function sum(rows: readonly { nodes: number }[]): number {
  return rows.reduce((total, row) => total + row.nodes, 0)
}

async function onlineOf(
  c: OperatorContext,
  environmentIds: readonly string[],
  meant: SQL | undefined,
): Promise<number | null> {
  if (environmentIds.length > MAX_ENVIRONMENTS_ASKED) return null
  const { db, nowMs } = c.var
  let total = 0
  for (const environmentId of environmentIds) {
    const online = await new TargetResolver({ env: c.env, db, environmentId, nowMs }).online()
    online.retainAll(await ordinalsInPages(db, and(eq(nodes.environmentId, environmentId), meant)))
    total += online.size
  }
  return total
}

/** Null where the plan may be carried out. */
export function refusalOf(
  plan: RevocationPlan,
  { maxNodes, force }: { maxNodes: number; force: boolean },
): Response | null {
  const faults: Fault[] = []
  if (plan.nodes > maxNodes)
    faults.push({ pointer: '/maxNodes', detail: `would revoke the keys of ${plan.nodes} nodes` })
  if (plan.lockedOut > 0 && !force)
    faults.push({ pointer: '/force', detail: `must be true: ${lockedOutText(plan)}` })
  else if (plan.waiting > 0 && !force)
    faults.push({ pointer: '/force', detail: `must be true: ${waitingText(plan)}` })
  return faults.length === 0 ? null : unprocessable(...faults)
}

function lockedOutText({ lockedOut }: RevocationPlan): string {
  return `${lockedOut} nodes would be locked out, no active enroll secret is known to let them in again`
}

function waitingText({ waiting }: RevocationPlan): string {
  return `a brownout lets ${waiting} of the nodes not enroll until it is over`
}

export function shownPlan(plan: RevocationPlan): z.infer<typeof planSchema> {
  const { issuedBeforeS, nodes: count, online, lockedOut, fromS, overS } = plan
  const warnings = lockedOut === 0 ? [] : [lockedOutText(plan)]
  if (plan.waiting > 0) warnings.push(waitingText(plan))
  if (overS < defaultOverS(count)) warnings.push(`${count} nodes enroll within ${overS} s and an interval`)
  return {
    issuedBefore: rfc3339(issuedBeforeS * 1_000),
    nodes: count,
    online,
    lockedOut,
    overSeconds: overS,
    doneAt: rfc3339((fromS + overS) * 1_000),
    warnings,
  }
}

/** The row of a plan that is carried out. */
export function rowOfPlan(c: OperatorContext, plan: RevocationPlan): KeyRevocationRow {
  const { environmentId, keyId = null, issuedBeforeS, fromS, overS, nodes: count } = plan
  const id = crypto.randomUUID()
  const made = { createdAtMs: c.var.nowMs, createdBy: c.var.actor }
  return { id, environmentId, keyId, issuedBeforeS, fromS, overS, nodes: count, ...made }
}

export async function shownRevocation(
  c: OperatorContext,
  row: KeyRevocationRow,
): Promise<z.infer<typeof revocationSchema>> {
  const { id, environmentId, keyId, issuedBeforeS, fromS, overS, createdBy } = row
  const doneS = fromS + overS
  return {
    id,
    signingKey: keyId === null ? null : `k${keyId}`,
    issuedBefore: rfc3339(issuedBeforeS * 1_000),
    nodes: row.nodes,
    remaining: await countHolders(c.var.db, environmentId, holders(issuedBeforeS, keyId ?? undefined)),
    from: rfc3339(fromS * 1_000),
    overSeconds: overS,
    doneAt: rfc3339(doneS * 1_000),
    mayBeTakenBackUntil: rfc3339((doneS + TAKEN_BACK_WITHIN_S) * 1_000),
    createdAt: rfc3339(row.createdAtMs),
    createdBy,
  }
}
