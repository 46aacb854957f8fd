/** The share of an environment's nodes that may poll fast while operators watch. */

import { eq } from 'drizzle-orm'
import { commitChange, type ChangeNote, type ControlDb } from './control.ts'
import { environments } from './schema-control.ts'

/** Sets the share (0 to 1). Returns the revision. */
export async function updateAccelerateShare(
  db: ControlDb,
  note: ChangeNote,
  environmentId: string,
  accelerateShare: number,
): Promise<number> {
  const { revision } = await commitChange(db, note, 'environment', [
    db.update(environments).set({ accelerateShare }).where(eq(environments.id, environmentId)),
  ])
  return revision
}
