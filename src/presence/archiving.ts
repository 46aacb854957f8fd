/**
 * Archives nodes that presence has not seen for longer than their environment wants, and makes them active again when it
 * has. Their keys are valid all the time: a poll of theirs costs what any poll costs, and nobody is told of it.
 */

import {
  activeNodesEnrolledBefore,
  archiveAfterDays,
  archivedNodes,
  archiveNodes,
  environmentsToArchive,
  environmentsWithArchived,
  noteArchivingLooked,
  returnNodes,
  type ArchivingEnvironment,
} from '../db/archiving.ts'
import type { NodeSet } from '../fleet/node-set.ts'
import { seenSince } from './read.ts'

const DAY_MS = 86_400_000
const MINUTE_MS = 60_000
/** Who came back is active again within so many minutes. */
const RETURN_EVERY_MINUTES = 10
/** One minute's work; the rest waits for the next. */
const ENVIRONMENTS_AT_ONCE = 20
/** Nodes of one statement: 160 KB of JSON, where D1 takes 2 MB. */
const NODES_AT_ONCE = 20_000

/** A duty of the schedule: once a day for each environment. One statement where nothing is due. */
export async function archiveUnseen(env: Env, nowMs: number): Promise<void> {
  for (const environment of await environmentsToArchive(env.DB, nowMs - DAY_MS, ENVIRONMENTS_AT_ONCE)) {
    try {
      await archiveIn(env, environment, nowMs)
    } catch (error) {
      console.error(JSON.stringify({ event: 'archiving-later', error: String(error) }))
    }
  }
}

async function archiveIn(env: Env, environment: ArchivingEnvironment, nowMs: number): Promise<void> {
  const { id } = environment
  const cutoffMs = nowMs - environment.archiveAfterDays * DAY_MS
  const unseen = await activeNodesEnrolledBefore(env.DB, id, cutoffMs)
  unseen.deleteAll(await seenSince(env, id, highestOf(unseen), Math.floor(cutoffMs / 1_000)))
  const ordinals = [...unseen]
  const first = ordinals.slice(0, NODES_AT_ONCE)
  if (first.length > 0) await archiveNodes(env.DB, id, first, { nowMs, cutoffMs })
  // With more than that the next minute goes on.
  if (ordinals.length === first.length) await noteArchivingLooked(env.DB, id, nowMs)
}

/** A duty of the schedule: every ten minutes, where anybody is archived. One statement where nobody is. */
export async function returnSeen(env: Env, nowMs: number): Promise<void> {
  if (Math.floor(nowMs / MINUTE_MS) % RETURN_EVERY_MINUTES !== 0) return
  for (const { id, highest } of await environmentsWithArchived(env.DB)) {
    try {
      await returnIn(env, id, highest, nowMs)
    } catch (error) {
      console.error(JSON.stringify({ event: 'returning-later', error: String(error) }))
    }
  }
}

async function returnIn(env: Env, id: string, highest: number, nowMs: number): Promise<void> {
  // Where nothing is archived any more, a day tells who is there.
  const days = Math.max(1, await archiveAfterDays(env.DB, id))
  const back = await seenSince(env, id, highest, Math.floor((nowMs - days * DAY_MS) / 1_000))
  back.retainAll(await archivedNodes(env.DB, id))
  const ordinals = [...back]
  for (let from = 0; from < ordinals.length; from += NODES_AT_ONCE)
    await returnNodes(env.DB, id, ordinals.slice(from, from + NODES_AT_ONCE), nowMs)
}

function highestOf(set: NodeSet): number {
  let highest = 0
  for (const ordinal of set) highest = ordinal
  return highest
}
