/** For how long things are kept, as an environment chose: new log lines by type, results of live queries, traces. */

import { eq } from 'drizzle-orm'
import type { Retention } from '../logs/retention.ts'
import { commitChange, type ChangeNote, type ControlDb } from './control.ts'
import { environments } from './schema-control.ts'

/** Days beside those of log lines; what is not given stays. */
export interface OtherDays {
  results?: number | undefined
  traces?: number | undefined
}

/** Replaces an environment's choices; days of results and traces where they are given. Returns the revision. */
export async function updateRetention(
  db: ControlDb,
  note: ChangeNote,
  environmentId: string,
  retention: Retention,
  { results, traces }: OtherDays = {},
): Promise<number> {
  const { revision } = await commitChange(db, note, 'environment', [
    db
      .update(environments)
      .set({
        retention: JSON.stringify(retention),
        ...(results === undefined ? {} : { resultsRetentionDays: results }),
        ...(traces === undefined ? {} : { tracesRetentionDays: traces }),
      })
      .where(eq(environments.id, environmentId)),
  ])
  return revision
}
