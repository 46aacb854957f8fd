/** The way of audit rows into the archive: how far it is, and what comes next. */

export interface AuditRowToArchive {
  id: string
  atMs: number
  actor: string
  action: string
  environmentId: string | null
  subject: string
  /** JSON. */
  detail: string
}

const NEXT = `SELECT audit.id, environment_id AS environmentId, audit_archived AS cursor
  FROM audit, deployment WHERE deployment.id = 1 AND audit.id > audit_archived AND at <= ?1
  ORDER BY audit.id LIMIT ?2`
const ROWS = `SELECT id, at AS atMs, actor, action, environment_id AS environmentId, subject, detail
  FROM audit WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY id`
const ADVANCE = `UPDATE deployment SET audit_archived = ?2 WHERE id = 1 AND audit_archived = ?1`

/** The next rows in order of time, none younger than `untilMs`; `cursor` is how far it was before them. */
export async function nextAuditRows(
  db: D1Database,
  untilMs: number,
  limit: number,
): Promise<{ id: string; environmentId: string | null; cursor: string }[]> {
  const { results } = await db
    .prepare(NEXT)
    .bind(untilMs, limit)
    .all<{ id: string; environmentId: string | null; cursor: string }>()
  return results
}

export async function findAuditRows(db: D1Database, ids: readonly string[]): Promise<AuditRowToArchive[]> {
  const { results } = await db.prepare(ROWS).bind(JSON.stringify(ids)).all<AuditRowToArchive>()
  return results
}

/** Moves the cursor on, unless another run has moved it meanwhile. */
export async function advanceAuditArchived(db: D1Database, from: string, to: string): Promise<void> {
  await db.prepare(ADVANCE).bind(from, to).run()
}
