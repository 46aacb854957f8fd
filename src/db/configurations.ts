/** Configuration documents by version. A version never changes. */

import { and, desc, eq, lt, sql } from 'drizzle-orm'
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

/** A version without its document, for lists. */
export type ConfigurationSummaryRow = Omit<ConfigurationRow, 'document' | 'environmentId'> & { bytes: number }

/** Versions below a number, newest first. */
export function listConfigurations(
  db: ControlDb,
  environmentId: string,
  belowVersion: number | null,
  limit: number,
): Promise<ConfigurationSummaryRow[]> {
  const { version, sha256, createdAtMs, createdBy, message, document } = configurations
  return db
    .select({
      version,
      sha256,
      createdAtMs,
      createdBy,
      message,
      bytes: sql<number>`LENGTH(CAST(${document} AS BLOB))`,
    })
    .from(configurations)
    .where(
      and(
        eq(configurations.environmentId, environmentId),
        belowVersion === null ? undefined : lt(version, belowVersion),
      ),
    )
    .orderBy(desc(version))
    .limit(limit)
}

export async function findConfiguration(
  db: ControlDb,
  environmentId: string,
  version: number,
): Promise<ConfigurationRow | null> {
  const [row] = await db
    .select()
    .from(configurations)
    .where(and(eq(configurations.environmentId, environmentId), eq(configurations.version, version)))
    .limit(1)
  return row ?? null
}

/** Adds a version. Returns its number and the environment's revision. */
export async function insertConfiguration(
  db: ControlDb,
  note: ChangeNote,
  configuration: Pick<ConfigurationRow, 'environmentId' | 'document' | 'sha256' | 'message'>,
): Promise<{ version: number; revision: number }> {
  const { environmentId, document, sha256, message } = configuration
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
        message,
      })
      .returning({ version: configurations.version }),
  ])
  const [row] = results[0] as { version: number }[]
  if (row === undefined) throw new Error('an insert returns its row')
  return { version: row.version, revision }
}
