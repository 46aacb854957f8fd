/** Totals of enroll secrets, as the Directory object tells them: one statement for all. */

import type { SecretTotals } from '../snapshot/enroll-counts.ts'

// The greater number stays: a message that comes twice, or late, changes nothing.
const TOTALS = `UPDATE enroll_secrets SET
    enroll_count = MAX(enroll_count, t.value ->> '$.enrolled'),
    refused_count = MAX(refused_count, t.value ->> '$.refused'),
    last_used_at = NULLIF(MAX(COALESCE(last_used_at, 0), t.value ->> '$.lastUsedAtMs'), 0),
    last_refused_at = NULLIF(MAX(COALESCE(last_refused_at, 0), t.value ->> '$.lastRefusedAtMs'), 0)
  FROM json_each(?1) AS t WHERE enroll_secrets.id = t.value ->> '$.secretId'`

/** Idempotent. */
export async function writeSecretTotals(db: D1Database, totals: readonly SecretTotals[]): Promise<void> {
  await db.prepare(TOTALS).bind(JSON.stringify(totals)).run()
}
