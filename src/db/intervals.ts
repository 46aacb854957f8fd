/** How often agents come, where the server says so: an environment's choice. */

import { eq } from 'drizzle-orm'
import { MANAGED_POINTERS, textOfIntervals, type ManagedIntervals } from '../config/intervals.ts'
import { commitChange, type ChangeNote, type ControlDb } from './control.ts'
import { rememberHeld } from './held-options.ts'
import { environments } from './schema.ts'

/**
 * Replaces it. Nodes keep what they are told, so that it is remembered: once nothing is managed any more they are told
 * osquery's defaults (config/held.ts). Returns the revision.
 */
export async function updateIntervals(
  db: ControlDb,
  note: ChangeNote,
  environmentId: string,
  intervals: ManagedIntervals,
): Promise<number> {
  const held = intervals.base === null ? [] : MANAGED_POINTERS
  const { revision } = await commitChange(db, note, 'environment', [
    db
      .update(environments)
      .set({ intervals: textOfIntervals(intervals) })
      .where(eq(environments.id, environmentId)),
    rememberHeld(
      db,
      environmentId,
      held.map((pointer) => ({ pointer, platform: null })),
    ),
  ])
  return revision
}
