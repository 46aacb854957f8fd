/**
 * The last look before a snapshot goes out: a bug or a damaged table must not revoke or empty a fleet (design 4,
 * Configuration). Pure.
 */

import type { IntervalPlaces } from '../fleet/interval-edits.ts'
import { fail, ok, type Result } from '../lib/result.ts'

/** More than this share of the nodes newly revoked at once is held back. */
const MAX_NEWLY_REVOKED_SHARE = 0.2
/** Below this many nodes an operator deletes what they like. */
const SMALL_FLEET = 50

export interface SnapshotFacts {
  revokedCount: number
  nodeCount: number
  /** The share of nodes that may be accelerated; absent in what was installed before there was one. */
  accelerateShare?: number
  /** Names of scheduled queries in all documents, the server's own left out; absent in what was installed before. */
  scheduledCount?: number
  /** Where each document speaks of intervals; absent in what was installed before they were managed. */
  intervalPlaces?: Readonly<Record<string, IntervalPlaces>>
}

export type UnsafeReason =
  | { kind: 'mass-revocation'; newlyRevoked: number; nodeCount: number }
  /** No document schedules anything any more. */
  | { kind: 'emptied'; scheduledBefore: number; nodeCount: number }

/** Whether the next snapshot may follow the present one without `force`. */
export function mayPublish(present: SnapshotFacts | null, next: SnapshotFacts): Result<null, UnsafeReason> {
  const newlyRevoked = next.revokedCount - (present?.revokedCount ?? next.revokedCount)
  const { nodeCount } = next
  if (newlyRevoked > SMALL_FLEET && newlyRevoked > nodeCount * MAX_NEWLY_REVOKED_SHARE)
    return fail({ kind: 'mass-revocation', newlyRevoked, nodeCount })
  const scheduledBefore = present?.scheduledCount ?? 0
  if (nodeCount > SMALL_FLEET && scheduledBefore > 0 && next.scheduledCount === 0)
    return fail({ kind: 'emptied', scheduledBefore, nodeCount })
  return ok(null)
}
