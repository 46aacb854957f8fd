/** Where a node stands in its environment. Pure. */

/**
 * `active`: it gets configuration and queries. `pending`: it waits for approval and sees nothing. `archived`: unseen for
 * longer than its environment wants; its key is valid, and it is active again when it comes. `blocked`: its identity is.
 */
export const NODE_STATES = ['active', 'pending', 'archived', 'blocked'] as const
export type NodeState = (typeof NODE_STATES)[number]

/** The times that say it, as D1 has them. A block outweighs all, and who waits for approval is not archived. */
export function nodeStateOf(node: {
  blockedAtMs: number | null
  pendingSinceMs: number | null
  archivedAtMs: number | null
}): NodeState {
  if (node.blockedAtMs !== null) return 'blocked'
  if (node.pendingSinceMs !== null) return 'pending'
  return node.archivedAtMs === null ? 'active' : 'archived'
}
