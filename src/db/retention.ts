/** For how long new log lines are kept: an environment's choices by type; and results of live queries. */

import { eq } from 'drizzle-orm'
import type { Retention } from '../logs/retention.ts'
import { commitChange, type ChangeNote, type ControlDb } from './control.ts'
import { environments } from './schema.ts'

/** Replaces an environment's choices; days of results where they are given. Returns the revision. */
export async function updateRetention(
  db: ControlDb,
  note: ChangeNote,
  environmentId: string,
  retention: Retention,
  resultsRetentionDays?: number,
): Promise<number> {
  const { revision } = await commitChange(db, note, 'environment', [
    db
      .update(environments)
      .set({
        retention: JSON.stringify(retention),
        ...(resultsRetentionDays === undefined ? {} : { resultsRetentionDays }),
      })
      .where(eq(environments.id, environmentId)),
  ])
  return revision
}
