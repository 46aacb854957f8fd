/** What the server schedules by itself: an environment's choice. */

import { eq } from 'drizzle-orm'
import type { BuiltInSettings } from '../config/built-in.ts'
import { commitChange, type ChangeNote, type ControlDb } from './control.ts'
import { environments } from './schema-control.ts'

/** Replaces it. Returns the revision. */
export async function updateBuiltIn(
  db: ControlDb,
  note: ChangeNote,
  environmentId: string,
  settings: BuiltInSettings,
): Promise<number> {
  const { revision } = await commitChange(db, note, 'environment', [
    db
      .update(environments)
      .set({ builtIn: JSON.stringify(settings) })
      .where(eq(environments.id, environmentId)),
  ])
  return revision
}
