/** What is known of the deployment's signing keys: their ids, fingerprints and times. Never the keys themselves. */

import { asc } from 'drizzle-orm'
import type { ControlDb } from './control.ts'
import { signingKeys } from './schema-control.ts'

export type SigningKeyRow = typeof signingKeys.$inferSelect

/** A key of the secret that a Worker runs with. */
export interface PresentKey {
  keyId: number
  fingerprint: string
  isCurrent: boolean
}

// Writes only what changed: it runs each minute.
const NOTE = `INSERT INTO signing_keys (key_id, fingerprint, is_current, first_seen_at, current_since)
  SELECT value ->> 'keyId', value ->> 'fingerprint', value ->> 'isCurrent', ?2, CASE WHEN value ->> 'isCurrent' THEN ?2 END
  FROM json_each(?1) WHERE true
  ON CONFLICT (key_id) DO UPDATE SET fingerprint = excluded.fingerprint, is_current = excluded.is_current,
    current_since = CASE WHEN excluded.is_current > is_current THEN ?2 ELSE current_since END,
    replaced_at = CASE WHEN excluded.is_current < is_current THEN ?2
      WHEN excluded.is_current > is_current THEN NULL ELSE replaced_at END
  WHERE fingerprint <> excluded.fingerprint OR is_current <> excluded.is_current`

/** Notes which keys there are and which is current. One statement; nothing is written where nothing changed. */
export async function noteSigningKeys(
  db: D1Database,
  present: readonly PresentKey[],
  nowMs: number,
): Promise<void> {
  await db.prepare(NOTE).bind(JSON.stringify(present), nowMs).run()
}

/** All that were ever seen, by id. */
export function listSigningKeys(db: ControlDb): Promise<SigningKeyRow[]> {
  return db.select().from(signingKeys).orderBy(asc(signingKeys.keyId))
}

/** Secrets of sinks, and of webhooks that have not been told yet, by the id of the key that sealed them. */
export async function countSealed(db: D1Database): Promise<Map<number, number>> {
  const { results } = await db
    .prepare(
      `SELECT CAST(substr(sealed, 6) AS INTEGER) AS keyId, COUNT(*) AS count FROM (
        SELECT secrets AS sealed FROM sinks WHERE secrets LIKE 'oes1.%'
        UNION ALL SELECT webhook_secrets FROM queries
          WHERE webhook_secrets LIKE 'oes1.%' AND webhook_delivered_at IS NULL AND webhook_due_at IS NOT NULL)
      GROUP BY 1`,
    )
    .all<{ keyId: number; count: number }>()
  return new Map(results.map(({ keyId, count }) => [keyId, count]))
}
