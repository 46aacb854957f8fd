/** How often agents come, where the server says so: an environment's choice. */

import { eq } from 'drizzle-orm'
import { MANAGED_POINTERS, textOfIntervals, type ManagedIntervals } from '../config/intervals.ts'
import { commitChange, type ChangeNote, type ControlDb, type Statement } from './control.ts'
import { rememberHeld } from './held-options.ts'
import { environments } from './schema-control.ts'

/**
 * Replaces it. Nodes keep what they are told, so that it is remembered: once nothing is managed any more they are told
 * osquery's defaults (config/held.ts).
 */
export function intervalStatements(
  db: ControlDb,
  environmentId: string,
  intervals: ManagedIntervals,
): Statement[] {
  const held = intervals.base === null ? [] : MANAGED_POINTERS
  return [
    db
      .update(environments)
      .set({ intervals: textOfIntervals(intervals) })
      .where(eq(environments.id, environmentId)),
    rememberHeld(
      db,
      environmentId,
      held.map((pointer) => ({ pointer, platform: null })),
    ),
  ]
}

/** The same as a change of its own. Returns the revision. */
export async function updateIntervals(
  db: ControlDb,
  note: ChangeNote,
  environmentId: string,
  intervals: ManagedIntervals,
): Promise<number> {
  const { revision } = await commitChange(
    db,
    note,
    'environment',
    intervalStatements(db, environmentId, intervals),
  )
  return revision
}
