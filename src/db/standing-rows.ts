/**
 * What snapshots say about where nodes stand: keys that were revoked, nodes that are blocked, nodes that were approved.
 * Statements and reading of one batch (db/snapshot-rows.ts).
 */

import type { SupersededBefore } from '../fleet/superseded.ts'
import type { KeyRevocation } from '../fleet/key-revocation.ts'

export interface StandingRows {
  revocations: KeyRevocation[]
  blockedOrdinals: number[]
  /** Of nodes that had to be approved. */
  approvedOrdinals: number[]
  /** Nodes that were split from another machine. */
  superseded: SupersededBefore[]
}

// Ordinals as one JSON list for 32,768 of them, so that a million of them are no million rows.
const LISTED = 'SELECT json_group_array(ordinal) AS ordinals FROM nodes'
const IN_CHUNKS = 'GROUP BY ordinal / 32768'
/** Each takes the environment's id as its one parameter. */
export const STANDING_STATEMENTS = [
  `SELECT key_id AS keyId, issued_before_s AS issuedBeforeS, from_s AS fromS, over_s AS overS
    FROM key_revocations WHERE environment_id = ?1 OR environment_id IS NULL ORDER BY created_at, id`,
  `${LISTED} WHERE environment_id = ?1 AND blocked_at IS NOT NULL AND deleted_at IS NULL ${IN_CHUNKS}`,
  `${LISTED} WHERE environment_id = ?1 AND approved_at IS NOT NULL AND deleted_at IS NULL ${IN_CHUNKS}`,
  `SELECT ordinal, key_minimum_s AS minimumIssuedAtS FROM nodes
    WHERE environment_id = ?1 AND key_minimum_s > 0 AND deleted_at IS NULL`,
] as const

/** What those statements brought. */
export function standingRowsOf(results: readonly D1Result[]): StandingRows {
  const [revocations, blocked, approved, superseded] = results.map(({ results: rows }) => rows)
  return {
    revocations: ((revocations ?? []) as (Omit<KeyRevocation, 'keyId'> & { keyId: number | null })[]).map(
      ({ keyId, ...rest }) => (keyId === null ? rest : { ...rest, keyId }),
    ),
    blockedOrdinals: ordinalsOf(blocked),
    approvedOrdinals: ordinalsOf(approved),
    superseded: (superseded ?? []) as SupersededBefore[],
  }
}

function ordinalsOf(rows: readonly unknown[] = []): number[] {
  return (rows as { ordinals: string }[]).flatMap(({ ordinals }) => JSON.parse(ordinals) as number[])
}
