/** What scheduled queries may cost and when they are paused: an environment's choice; and whose turn it is to be looked at. */

import { eq } from 'drizzle-orm'
import type { CostRules } from '../costs/rules.ts'
import { commitChange, type ChangeNote, type ControlDb } from './control.ts'
import { environments } from './schema-control.ts'

/** Replaces it, and has the environment's costs looked at. */
export async function updateCostRules(
  db: ControlDb,
  note: ChangeNote,
  environmentId: string,
  rules: CostRules,
): Promise<void> {
  await commitChange(db, note, 'none', [
    db
      .update(environments)
      .set({ costRules: JSON.stringify(rules), costsLookedAtMs: NOT_LOOKED_AT })
      .where(eq(environments.id, environmentId)),
  ])
}

/** It is to be looked at. */
const NOT_LOOKED_AT = 0

/** A node said that it has a query on its denylist. One D1 statement; writes nothing where that is known. */
export async function noteDenied(db: D1Database, environmentId: string): Promise<void> {
  await db
    .prepare('UPDATE environments SET costs_looked_at = 0 WHERE id = ? AND costs_looked_at > 0')
    .bind(environmentId)
    .run()
}

/** It is to be looked at again. */
export async function makeDue(db: D1Database, environmentId: string): Promise<void> {
  await db.prepare('UPDATE environments SET costs_looked_at = 0 WHERE id = ?').bind(environmentId).run()
}

export interface DueEnvironment {
  id: string
  costRules: string
  highestOrdinal: number
}

/**
 * Takes any environment that is to be looked at and has rules for pausing: one that fails each time must not keep the
 * others. One D1 statement where there is none.
 */
export async function takeDueEnvironment(db: D1Database, nowMs: number): Promise<DueEnvironment | null> {
  const row = await db
    .prepare(
      `SELECT id, cost_rules AS costRules,
         COALESCE((SELECT MAX(ordinal) FROM nodes WHERE environment_id = environments.id), -1) AS highestOrdinal
       FROM environments
       WHERE costs_looked_at = 0 AND json_extract(cost_rules, '$.autoPause.share') IS NOT NULL
       ORDER BY random() LIMIT 1`,
    )
    .first<DueEnvironment>()
  // Before it is looked at: what nodes say meanwhile makes it due again.
  if (row !== null)
    await db.prepare('UPDATE environments SET costs_looked_at = ? WHERE id = ?').bind(nowMs, row.id).run()
  return row
}
