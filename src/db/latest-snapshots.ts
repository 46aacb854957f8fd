/** Of which scheduled queries the newest snapshot of each node is kept at hand. */

import { eq } from 'drizzle-orm'
import { commitChange, type ChangeNote, type ControlDb } from './control.ts'
import { latestSnapshots } from './schema-control.ts'

/** An environment's patterns, for what runs by itself. One D1 statement. */
export async function latestSnapshotPatterns(db: D1Database, environmentId: string): Promise<string[]> {
  const { results } = await db
    .prepare('SELECT pattern FROM latest_snapshots WHERE environment_id = ? ORDER BY pattern')
    .bind(environmentId)
    .all<{ pattern: string }>()
  return results.map(({ pattern }) => pattern)
}

/** Replaces an environment's patterns. */
export async function replaceLatestSnapshots(
  db: ControlDb,
  note: ChangeNote,
  environmentId: string,
  patterns: readonly string[],
): Promise<void> {
  const rows = patterns.map((pattern) => ({ environmentId, pattern }))
  await commitChange(db, note, 'none', [
    db.delete(latestSnapshots).where(eq(latestSnapshots.environmentId, environmentId)),
    ...rows.map((row) => db.insert(latestSnapshots).values(row)),
  ])
}
