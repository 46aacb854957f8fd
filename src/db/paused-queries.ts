/** Scheduled queries that are paused, by environment and the name in log lines. */

import { and, asc, eq, gt, isNull } from 'drizzle-orm'
import { commitChange, type ChangeNote, type ControlDb } from './control.ts'
import { pausedQueries } from './schema-control.ts'

export type PausedQueryRow = typeof pausedQueries.$inferSelect

/** Those that are paused now, and those that were resumed after a time. */
export async function listPaused(
  db: ControlDb,
  environmentId: string,
  resumedAfterMs = Number.MAX_SAFE_INTEGER,
): Promise<{ paused: PausedQueryRow[]; resumed: PausedQueryRow[] }> {
  const { resumedAtMs, name } = pausedQueries
  const mine = eq(pausedQueries.environmentId, environmentId)
  const rows = db.select().from(pausedQueries)
  return {
    paused: await rows.where(and(mine, isNull(resumedAtMs))).orderBy(asc(name)),
    resumed:
      resumedAfterMs === Number.MAX_SAFE_INTEGER
        ? []
        : await db
            .select()
            .from(pausedQueries)
            .where(and(mine, gt(resumedAtMs, resumedAfterMs))),
  }
}

/** Their names. */
export async function pausedNames(db: ControlDb, environmentId: string): Promise<Set<string>> {
  const { paused } = await listPaused(db, environmentId)
  return new Set(paused.map(({ name }) => name))
}

/** Pauses a query; who pauses it again says why now. Returns the revision. */
export async function pauseQuery(
  db: ControlDb,
  note: ChangeNote,
  query: { environmentId: string; name: string; reason: string },
): Promise<number> {
  const { atMs, actor } = note
  const values = { pausedAtMs: atMs, pausedBy: actor, reason: query.reason, resumedAtMs: null }
  const { revision } = await commitChange(db, note, 'environment', [
    db
      .insert(pausedQueries)
      .values({ ...values, environmentId: query.environmentId, name: query.name })
      .onConflictDoUpdate({
        target: [pausedQueries.environmentId, pausedQueries.name],
        set: values,
      }),
  ])
  return revision
}

/** Has agents run it again. Returns the revision. */
export async function resumeQuery(
  db: ControlDb,
  note: ChangeNote,
  environmentId: string,
  name: string,
): Promise<number> {
  const { revision } = await commitChange(db, note, 'environment', [
    db
      .update(pausedQueries)
      .set({ resumedAtMs: note.atMs })
      .where(and(eq(pausedQueries.environmentId, environmentId), eq(pausedQueries.name, name))),
  ])
  return revision
}
