/** Who changed what. Rows are written by `commitChange` alone. */

import { and, desc, eq, lt } from 'drizzle-orm'
import type { ControlDb } from './control.ts'
import { audit } from './schema-control.ts'

export type AuditRow = typeof audit.$inferSelect

/** Newest first, of one environment or of everything; ids sort by time. */
export function listAudit(
  db: ControlDb,
  environmentId: string | null,
  beforeId: string | null,
  limit: number,
): Promise<AuditRow[]> {
  return db
    .select()
    .from(audit)
    .where(
      and(
        environmentId === null ? undefined : eq(audit.environmentId, environmentId),
        beforeId === null ? undefined : lt(audit.id, beforeId),
      ),
    )
    .orderBy(desc(audit.id))
    .limit(limit)
}
