/** Where nodes stand, as a condition on their rows. */

import { and, isNotNull, isNull, type SQL } from 'drizzle-orm'
import type { NodeState } from '../fleet/standing.ts'
import { nodes } from './schema-nodes.ts'

/** Living nodes in this state; see fleet/standing.ts. */
export function inState(state: NodeState): SQL | undefined {
  const { archivedAtMs, blockedAtMs, deletedAtMs, pendingSinceMs } = nodes
  switch (state) {
    case 'blocked':
      return and(isNull(deletedAtMs), isNotNull(blockedAtMs))
    case 'pending':
      return and(isNull(deletedAtMs), isNull(blockedAtMs), isNotNull(pendingSinceMs))
    case 'archived':
      return and(isNull(deletedAtMs), isNull(blockedAtMs), isNull(pendingSinceMs), isNotNull(archivedAtMs))
    case 'active':
      return and(isNull(deletedAtMs), isNull(blockedAtMs), isNull(pendingSinceMs), isNull(archivedAtMs))
  }
}
