/** Audit rows of changes that were made while D1 may have been away: written when it is back, once. */

export interface AuditNote {
  actor: string
  action: string
  environmentId: string | null
  subject: string
  detail: Readonly<Record<string, unknown>>
  atMs: number
}

const INSERT = `INSERT INTO audit (id, at, actor, action, environment_id, subject, detail)
  SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE NOT EXISTS (SELECT 1 FROM audit WHERE id IN (SELECT value FROM json_each(?8)))`

/** Writes it under this id, unless it is there under one that was tried before. Throws where D1 does not answer. */
export async function insertLateAudit(
  db: D1Database,
  id: string,
  note: AuditNote,
  tried: readonly string[],
): Promise<void> {
  const { atMs, actor, action, environmentId, subject, detail } = note
  await db
    .prepare(INSERT)
    .bind(id, atMs, actor, action, environmentId, subject, JSON.stringify(detail), JSON.stringify(tried))
    .run()
}

/** Who may use the admin route: for the Directory object, which knows it while D1 is away. */
export async function readOperators(db: D1Database): Promise<{ tokenHash: string; name: string }[]> {
  const { results } = await db
    .prepare('SELECT token_hash AS tokenHash, name FROM operator_tokens ORDER BY id')
    .all<{ tokenHash: string; name: string }>()
  return results
}
