/** Queries that are over and whose webhook is due. */

import { and, asc, isNull, lte, ne, sql } from 'drizzle-orm'
import { controlDb } from './control.ts'
import type { QueryRow } from './queries.ts'
import { queries } from './schema-queries.ts'

/** The next ones, the longest due first. One statement. */
export function dueWebhooks(db: D1Database, nowMs: number, limit: number): Promise<QueryRow[]> {
  return controlDb(db)
    .select()
    .from(queries)
    .where(and(lte(queries.webhookDueAtMs, nowMs), ne(queries.status, 'open'), isNull(queries.erasedAtMs)))
    .orderBy(asc(queries.webhookDueAtMs))
    .limit(limit)
}

/** Notes what became of a try: told, to be tried again, or given up (neither told nor due). */
export async function noteWebhook(
  db: D1Database,
  id: string,
  outcome: { deliveredAtMs: number | null; dueAtMs: number | null; error: string | null },
): Promise<void> {
  await controlDb(db)
    .update(queries)
    .set({
      webhookDeliveredAtMs: outcome.deliveredAtMs,
      webhookDueAtMs: outcome.dueAtMs,
      webhookError: outcome.error,
      webhookAttempts: sql`webhook_attempts + 1`,
    })
    .where(sql`id = ${id}`)
}
