/** Sinks: destinations of log lines. Their secrets are sealed before they come here. */

import { and, eq } from 'drizzle-orm'
import { commitChange, type ChangeNote, type ControlDb } from './control.ts'
import { afterRow, newestFirst, type NewestFirstKey } from './newest-first.ts'
import { sinks } from './schema-control.ts'

export type SinkRow = typeof sinks.$inferSelect

/** Newest first; `after` is the sort key of the last row of the page before. */
export function listSinks(
  db: ControlDb,
  environmentId: string,
  after: NewestFirstKey,
  limit: number,
): Promise<SinkRow[]> {
  const { createdAtMs, id } = sinks
  return db
    .select()
    .from(sinks)
    .where(and(eq(sinks.environmentId, environmentId), afterRow(createdAtMs, id, after)))
    .orderBy(...newestFirst(createdAtMs, id))
    .limit(limit)
}

export async function findSink(db: ControlDb, environmentId: string, id: string): Promise<SinkRow | null> {
  const [row] = await db.select().from(sinks).where(here(environmentId, id)).limit(1)
  return row ?? null
}

/** Throws where the environment has a sink of that name (sinks.name). */
export async function insertSink(db: ControlDb, note: ChangeNote, row: SinkRow): Promise<void> {
  await commitChange(db, note, 'none', [db.insert(sinks).values(row)])
}

/**
 * Changes a sink that still has the revision it was read with. False where somebody else was faster; the audit then
 * holds an attempt that changed nothing. Throws where the name is taken (sinks.name).
 */
export async function updateSink(db: ControlDb, note: ChangeNote, row: SinkRow): Promise<boolean> {
  const { environmentId, id, revision, ...rest } = row
  const changed = db
    .update(sinks)
    .set({ ...rest, revision })
    .where(and(here(environmentId, id), eq(sinks.revision, revision - 1)))
    .returning({ id: sinks.id })
  const { results } = await commitChange(db, note, 'none', [changed])
  return (results[0] as unknown[]).length > 0
}

/** False where this environment has no such sink. */
export async function deleteSink(
  db: ControlDb,
  note: ChangeNote,
  environmentId: string,
  id: string,
): Promise<boolean> {
  if ((await findSink(db, environmentId, id)) === null) return false
  await commitChange(db, note, 'none', [db.delete(sinks).where(here(environmentId, id))])
  return true
}

/** How many sinks an environment has. */
export function countSinks(db: ControlDb, environmentId: string): Promise<number> {
  return db.$count(sinks, eq(sinks.environmentId, environmentId))
}

function here(environmentId: string, id: string) {
  return and(eq(sinks.environmentId, environmentId), eq(sinks.id, id))
}
