/** The cron's part in rollouts: looks at each that is due, once a minute, and moves it on. One D1 statement where none is. */

import { controlDb, type ControlDb } from '../db/control.ts'
import {
  addCleared,
  dueRollouts,
  endClearing,
  membersOfRollout,
  noteLook,
  successorsOf,
  type RolloutRow,
} from '../db/rollouts.ts'
import { highestOrdinal } from '../db/environments.ts'
import { allNodes } from '../db/targets.ts'
import type { NodeSet } from '../fleet/node-set.ts'
import { readGates, verdictOf } from '../fleet/rollout-gates.ts'
import { Deadline } from '../lib/deadline.ts'
import { holdersOf } from '../presence/read.ts'
import { measureRollout } from './rollout-measure.ts'
import {
  CLEARING_LOOK_MS,
  makeMove,
  planOfRow,
  progressOfRow,
  type GateLook,
  type RolloutReason,
} from './rollout-moves.ts'

/** Who moves it, in the audit. */
export const ROLLOUT_ACTOR = 'rollout'
/** Rollouts of one minute; the others are due still in the next. */
const AT_ONCE = 50
const LOOK_EVERY_MS = 60_000
const CLEARED_EVERY_MS = 3_600_000
/** A reply may be lost on its way: one more poll of an agent that comes once a day. */
const CLEARED_AT_THE_EARLIEST_MS = 24 * 3_600_000
/** How long the environment's object may take to publish; its alarm heals what it did not. */
const PUBLISH_WITHIN_MS = 5_000
/** A halt that is not published leaves agents what harms them: worth some seconds of the cron. */
const PUBLISH_TRIES = 4
const PUBLISH_AGAIN_AFTER_MS = 500
const PRESENCE_WITHIN_MS = 5_000

/** One tick. A failure of one rollout leaves it where it is, to the next tick. */
export async function moveRollouts(env: Env, nowMs: number): Promise<void> {
  const db = controlDb(env.DB)
  for (const row of await dueRollouts(db, nowMs, AT_ONCE)) {
    try {
      await (row.endedAtMs === null ? lookAt(env, db, row, nowMs) : lookAtClearing(env, db, row, nowMs))
    } catch (error) {
      console.error(JSON.stringify({ event: 'rollout-later', rollout: row.id, error: String(error) }))
    }
  }
}

/** What the gates of a rollout say now. */
export async function lookAtGates(
  env: Env,
  db: ControlDb,
  row: RolloutRow,
  nowMs: number,
): Promise<GateLook> {
  const measured = await measureRollout(env, db, row, nowMs)
  return { atMs: nowMs, readings: readGates(planOfRow(row).gates, measured) }
}

async function lookAt(env: Env, db: ControlDb, row: RolloutRow, nowMs: number): Promise<void> {
  const look = await lookAtGates(env, db, row, nowMs)
  const verdict = verdictOf(look.readings, planOfRow(row).whenUnknown)
  const move = { kind: 'look' as const, verdict }
  const reason = verdict === 'fail' ? reasonOf(look) : undefined
  const who = { actor: ROLLOUT_ACTOR, nowMs, look, ...(reason === undefined ? {} : { reason }) }
  const moved = await makeMove(db, row, move, who)
  if (!moved.ok) return
  if (moved.value === null) {
    await noteLook(db, row, { gates: JSON.stringify(look), dueAtMs: nowMs + LOOK_EVERY_MS / 2 })
    return
  }
  const { state } = progressOfRow(row)
  console.log(JSON.stringify({ event: 'rollout-moved', rollout: row.id, from: state, verdict }))
  await publish(env, row.environmentId, moved.value)
}

function reasonOf({ readings }: GateLook): RolloutReason {
  const failed = readings.filter(({ status }) => status === 'fail')
  return { by: 'gate', detail: failed.map(({ gate, detail }) => `${gate}: ${detail}`).join('; ') }
}

/**
 * Clears a version that was taken back from nodes that came after members, too. Ends the clearing once a day is over and
 * each node that had it was served something else since: documents are then those of all others again. Nodes that are
 * away keep it waiting, however long.
 */
async function lookAtClearing(env: Env, db: ControlDb, row: RolloutRow, nowMs: number): Promise<void> {
  const { environmentId, version } = row
  const sinceEndMs = nowMs - (row.endedAtMs ?? nowMs)
  const members = await membersOfRollout(db, row.id)
  const note = { actor: ROLLOUT_ACTOR, environmentId, subject: row.id, atMs: nowMs }
  const later = await successorsOf(db, environmentId, members, row.createdAtMs)
  if (later.size > 0) {
    members.addAll(later)
    const detail = { version, nodes: later.size }
    const revision = await addCleared(db, { ...note, action: 'rollout.clear-more', detail }, row, members)
    if (revision !== null) await publish(env, environmentId, revision)
    return
  }
  const isOver = sinceEndMs >= CLEARED_AT_THE_EARLIEST_MS && (await areAllCleared(env, db, row, members))
  if (!isOver) {
    const laterMs = Math.min(CLEARED_EVERY_MS, Math.max(CLEARING_LOOK_MS, sinceEndMs))
    await noteLook(db, row, { dueAtMs: nowMs + laterMs })
    return
  }
  const revision = await endClearing(db, { ...note, action: 'rollout.cleared', detail: { version } }, row)
  if (revision !== null) await publish(env, environmentId, revision)
}

/** Whether each of them that is there was served something else since. */
async function areAllCleared(
  env: Env,
  db: ControlDb,
  { environmentId, endedAtMs, version }: RolloutRow,
  members: NodeSet,
): Promise<boolean> {
  const left = members.filter(() => true)
  const there = await allNodes(db, environmentId)
  // Who is archived is only away: it polls with its key as soon as it is back.
  there.addAll(await allNodes(db, environmentId, 'archived'))
  left.retainAll(there)
  // Some later than that: who was served the version in the last seconds holds it.
  const sinceS = Math.ceil((endedAtMs ?? 0) / 1_000) + SERVED_FOR_S
  const highest = await highestOrdinal(db, environmentId)
  const asked = holdersOf(env, environmentId, highest, sinceS)
  for (const [served, nodes] of await new Deadline(PRESENCE_WITHIN_MS).run(asked))
    if (served !== version) left.deleteAll(nodes)
  return left.size === 0
}

/** An isolate may serve a head that is this old (design 4), and then some for a reply on its way. */
const SERVED_FOR_S = 60

/** What is stored is safe; who does not hear of it now hears of it by the object's own alarm, within minutes. */
async function publish(env: Env, environmentId: string, revision: number): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      // A new stub each time: one that failed may stay broken.
      const stub = env.ENVIRONMENT.getByName(environmentId)
      await new Deadline(PUBLISH_WITHIN_MS).run(stub.refresh(revision, false))
      return
    } catch (error) {
      if (tries === PUBLISH_TRIES) throw error
      await scheduler.wait(PUBLISH_AGAIN_AFTER_MS * tries)
    }
  }
}
