/** Moves a rollout: what the pure machine decides, stored with its audit row and revision in one batch. */

import { isNullRefused, type ChangeNote, type ControlDb } from '../db/control.ts'
import { heldOfText } from '../db/held-options.ts'
import {
  membersOfRollout,
  moveRollout,
  successorsOf,
  type RolloutChange,
  type RolloutRow,
} from '../db/rollouts.ts'
import { allNodes } from '../db/targets.ts'
import type { NodeSet } from '../fleet/node-set.ts'
import { isOver, membersOfStep, movedBy, type RolloutMove, type RolloutProgress } from '../fleet/rollout.ts'
import type { GateReading } from '../fleet/rollout-gates.ts'
import { PLAN_FORMAT, type RolloutPlan } from '../fleet/rollout-plan.ts'
import { fail, ok, type Result } from '../lib/result.ts'

/** How soon it is looked what became of those from whom a version was taken back. */
export const CLEARING_LOOK_MS = 10 * 60_000

/** What the gates said, and when; as the row keeps it. */
export interface GateLook {
  atMs: number
  readings: GateReading[]
}

/** Why it was halted or taken back. */
export interface RolloutReason {
  /** `gate`, `operator` or `superseded`. */
  by: string
  detail: string
}

export type MoveRefusal =
  | { kind: 'refused'; detail: string }
  /** Somebody else moved it meanwhile, or made another version the stable one. */
  | { kind: 'lost' }

export function planOfRow({ plan }: Pick<RolloutRow, 'plan'>): RolloutPlan {
  const read = JSON.parse(plan) as RolloutPlan
  if (read.format !== PLAN_FORMAT) throw new Error('a rollout has a plan of a format that is not known here')
  return read
}

export function progressOfRow(row: RolloutRow): RolloutProgress {
  const { state, step, stepSinceMs, stepSpentMs, served } = row
  return { state, step, stepSinceMs, stepSpentMs, served }
}

/**
 * Makes a move. Ok with the environment's revision, or with null where the move leads nowhere and nothing was stored.
 * Throws where D1 does not answer; nothing has moved then.
 */
export async function makeMove(
  db: ControlDb,
  row: RolloutRow,
  move: RolloutMove,
  who: { actor: string; nowMs: number; reason?: RolloutReason; look?: GateLook },
): Promise<Result<number | null, MoveRefusal>> {
  const { nowMs } = who
  const before = progressOfRow(row)
  const plan = planOfRow(row)
  const moved = movedBy(plan, before, move, nowMs)
  if (!moved.ok) return fail({ kind: 'refused', detail: moved.reason })
  const next = moved.value
  if (next === null) return ok(null)
  const note: ChangeNote = {
    actor: who.actor,
    action: `rollout.${verbOf(before, next)}`,
    environmentId: row.environmentId,
    subject: row.id,
    detail: { version: row.version, step: next.step, ...(who.reason === undefined ? {} : who.reason) },
    atMs: nowMs,
  }
  try {
    return ok(
      await moveRollout(db, note, row, changeOf(row, before, next, who), {
        stable: stableAfter(row, before, next),
        held: next.state === 'complete' ? heldOfText(row.held) : [],
        members: await membersAfter(db, row, before, next),
      }),
    )
  } catch (error) {
    if (isNullRefused(error, 'rollouts.turn')) return fail({ kind: 'lost' })
    throw error
  }
}

function changeOf(
  row: RolloutRow,
  before: RolloutProgress,
  next: RolloutProgress,
  { nowMs, reason, look }: { nowMs: number; reason?: RolloutReason; look?: GateLook },
): RolloutChange {
  const clearing = row.clearing || isTakenBack(before, next)
  const isLookedAt = next.state === 'running' || next.state === 'waiting'
  const clearedAtMs = isTakenBack(before, next) ? nowMs + CLEARING_LOOK_MS : row.dueAtMs
  return {
    ...next,
    clearing,
    endedAtMs: isOver(next) ? (row.endedAtMs ?? nowMs) : null,
    dueAtMs: isLookedAt ? nowMs : clearing ? clearedAtMs : null,
    reason: isLookedAt ? null : reason === undefined ? row.reason : JSON.stringify(reason),
    ...(look === undefined ? {} : { gates: JSON.stringify(look) }),
  }
}

/** The environment's own version changes where a rollout completes, and where one that completed is taken back. */
function stableAfter(
  { version, stableVersion }: RolloutRow,
  before: RolloutProgress,
  next: RolloutProgress,
): { from: number; to: number } | null {
  if (next.state === 'complete') return { from: stableVersion, to: version }
  if (before.state === 'complete') return { from: version, to: stableVersion }
  return null
}

/** From some nodes: what they may hold is known, and all others keep what they have. */
function isTakenBack(before: RolloutProgress, next: RolloutProgress): boolean {
  return before.served && !next.served && before.state !== 'complete'
}

/** Null: as before. */
async function membersAfter(
  db: ControlDb,
  row: RolloutRow,
  before: RolloutProgress,
  next: RolloutProgress,
): Promise<NodeSet | null> {
  const { environmentId } = row
  const members = await membersOfRollout(db, row.id)
  if (isTakenBack(before, next)) {
    members.addAll(await successorsOf(db, environmentId, members, row.createdAtMs))
    return members
  }
  const wanted = next.step > before.step ? planOfRow(row).steps[next.step] : undefined
  return wanted === undefined ? null : membersOfStep(wanted, members, await allNodes(db, environmentId))
}

function verbOf(before: RolloutProgress, next: RolloutProgress): string {
  if (next.step > before.step) return 'step'
  switch (next.state) {
    case 'running':
      return 'resume'
    case 'waiting':
      return 'wait'
    case 'paused':
      return 'pause'
    case 'halted':
      return 'halt'
    case 'complete':
      return 'complete'
    case 'rolled-back':
      return 'rollback'
  }
}
