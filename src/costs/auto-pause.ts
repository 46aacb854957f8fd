/**
 * The duty that pauses scheduled queries which too many nodes have on their denylist. One D1 statement a minute; the
 * objects are asked only after a node said that it has one there.
 */

import { takeDueEnvironment, makeDue, type DueEnvironment } from '../db/cost-rules.ts'
import { controlDb } from '../db/control.ts'
import { listPaused, pauseQuery } from '../db/paused-queries.ts'
import { DAY_S } from './constants.ts'
import type { VersionSummary } from './kinds.ts'
import { readCosts } from './read.ts'
import { isOverShare, readRules, type AutoPause } from './rules.ts'

/** Who pauses, in the audit. */
export const PAUSED_BY = 'osquery-edge'
/** Agents keep a query on their denylist for a day (spec, quirk 38): so long after it was resumed that says nothing. */
const SPARED_MS = DAY_S * 1_000
/** Names that are looked through in one read. */
const NAMES_AT_ONCE = 500

/** Looks at one environment that is due, if there is one. */
export async function pauseDenied(env: Env, nowMs: number): Promise<void> {
  const due = await takeDueEnvironment(env.DB, nowMs)
  if (due === null) return
  try {
    await lookAt(env, due, nowMs)
  } catch (error) {
    await makeDue(env.DB, due.id)
    throw error
  }
}

/** What is to be paused: names, and why. Errors of a name are no version of it. */
export function toBePaused(
  versions: readonly VersionSummary[],
  rule: AutoPause,
  spared: ReadonlySet<string>,
): { name: string; reason: string }[] {
  return [...Map.groupBy(versions, ({ name }) => name)].flatMap(([name, ofName]) => {
    if (spared.has(name)) return []
    const nodes = ofName.reduce((sum, version) => sum + version.nodes, 0)
    const denied = ofName.reduce((sum, version) => sum + version.denied, 0)
    return isOverShare(rule, nodes, denied)
      ? [{ name, reason: `on the denylist of ${denied} of ${nodes} nodes` }]
      : []
  })
}

async function lookAt(
  env: Env,
  { id, costRules, highestOrdinal }: DueEnvironment,
  nowMs: number,
): Promise<void> {
  const { autoPause } = readRules(costRules)
  if (autoPause === null) return
  const db = controlDb(env.DB)
  const { paused, resumed } = await listPaused(db, id, nowMs - SPARED_MS)
  const spared = new Set([...paused, ...resumed].map(({ name }) => name))
  for (let after: string | null = ''; after !== null;) {
    const request = { days: 1, nowMs, name: null, after, limit: NAMES_AT_ONCE }
    const { versions, isMore } = await readCosts(env, id, highestOrdinal, request)
    for (const { name, reason } of toBePaused(versions, autoPause, spared)) {
      const note = { actor: PAUSED_BY, action: 'scheduled-query.pause', environmentId: id, subject: name }
      const revision = await pauseQuery(
        db,
        { ...note, detail: { reason }, atMs: nowMs },
        { environmentId: id, name, reason },
      )
      await env.ENVIRONMENT.getByName(id).refresh(revision, false)
      console.warn(JSON.stringify({ event: 'scheduled-query-paused', environmentId: id, name, reason }))
    }
    after = isMore ? (versions.at(-1)?.name ?? null) : null
  }
}
