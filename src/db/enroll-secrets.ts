/** Enroll secrets: only their SHA-256 is kept, and one text exists once in the deployment. */

import { and, eq } from 'drizzle-orm'
import { commitChange, type ChangeNote, type ControlDb } from './control.ts'
import { afterRow, newestFirst, type NewestFirstKey } from './newest-first.ts'
import { enrollSecrets } from './schema.ts'

export type EnrollSecretRow = typeof enrollSecrets.$inferSelect

/** Newest first; `after` is the sort key of the last row of the page before. */
export function listEnrollSecrets(
  db: ControlDb,
  environmentId: string,
  after: NewestFirstKey,
  limit: number,
): Promise<EnrollSecretRow[]> {
  const { createdAtMs, id } = enrollSecrets
  return db
    .select()
    .from(enrollSecrets)
    .where(and(eq(enrollSecrets.environmentId, environmentId), afterRow(createdAtMs, id, after)))
    .orderBy(...newestFirst(createdAtMs, id))
    .limit(limit)
}

/** Throws where the text is taken (enroll_secrets.secret_hash). Returns the directory's revision. */
export async function insertEnrollSecret(
  db: ControlDb,
  note: ChangeNote,
  row: EnrollSecretRow,
): Promise<number> {
  return (await commitChange(db, note, 'deployment', [db.insert(enrollSecrets).values(row)])).revision
}

/** Returns the directory's revision, or null where this environment has no such secret. */
export async function deleteEnrollSecret(
  db: ControlDb,
  note: ChangeNote,
  environmentId: string,
  id: string,
): Promise<number | null> {
  const here = and(eq(enrollSecrets.environmentId, environmentId), eq(enrollSecrets.id, id))
  const [row] = await db.select({ id: enrollSecrets.id }).from(enrollSecrets).where(here).limit(1)
  if (row === undefined) return null
  return (await commitChange(db, note, 'deployment', [db.delete(enrollSecrets).where(here)])).revision
}
