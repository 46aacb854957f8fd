/** Configuration documents by version. A version never changes. */

import { desc, eq, sql } from 'drizzle-orm'
import { commitChange, type ChangeNote, type ControlDb } from './control.ts'
import { configurations } from './schema.ts'

export type ConfigurationRow = typeof configurations.$inferSelect

/** The newest version. Every environment has one from the start. */
export async function latestConfiguration(db: ControlDb, environmentId: string): Promise<ConfigurationRow> {
  const [row] = await db
    .select()
    .from(configurations)
    .where(eq(configurations.environmentId, environmentId))
    .orderBy(desc(configurations.version))
    .limit(1)
  if (row === undefined) throw new Error('an environment has a configuration')
  return row
}

/** Adds a version. Returns its number and the environment's revision. */
export async function insertConfiguration(
  db: ControlDb,
  note: ChangeNote,
  configuration: Pick<ConfigurationRow, 'environmentId' | 'document' | 'sha256'>,
): Promise<{ version: number; revision: number }> {
  const { environmentId, document, sha256 } = configuration
  const { revision, results } = await commitChange(db, note, 'environment', [
    db
      .insert(configurations)
      .values({
        environmentId,
        version: sql`(SELECT COALESCE(MAX(version), 0) + 1 FROM configurations
          WHERE environment_id = ${environmentId})`,
        document,
        sha256,
        createdAtMs: note.atMs,
        createdBy: note.actor,
      })
      .returning({ version: configurations.version }),
  ])
  const [row] = results[0] as { version: number }[]
  if (row === undefined) throw new Error('an insert returns its row')
  return { version: row.version, revision }
}
