/** Why a node has not answered a query, or not well, from what the server saw of it. Pure. */

/** What is told apart. The first five are of nodes that have not answered. */
export const STRAGGLER_REASONS = [
  'offline',
  'waiting',
  'offered',
  'crashed',
  'given-up',
  'not-applicable',
  'deleted',
  'denylisted',
  'failed',
  'truncated',
] as const
export type StragglerReason = (typeof STRAGGLER_REASONS)[number]

/** What a shard knows of one node and one query. */
export interface Standing {
  ordinal: number
  /** How often it was offered the query, before it was settled where it is. */
  offers: number
  lastOfferedAtMs: number | null
  notApplicable: boolean
  answer: { status: number; message: string; truncated: boolean; denylisted: boolean } | null
}

/** What the inventory and presence know of it. */
export interface NodeFacts {
  deleted: boolean
  lastSeenAtMs: number
  /** When it last asked for queries; 0: never. */
  lastReadAtMs: number
}

export interface StragglerPolicy {
  /** A node that was not seen since then is offline. */
  onlineSinceMs: number
  maxOffers: number
  /** Presence is exact to the second and gathered for some; two reads closer than this may be one (spec 1.3). */
  sameReadWithinMs: number
}

/** Null: it answered, and well. */
export function stragglerReason(
  standing: Standing,
  node: NodeFacts,
  policy: StragglerPolicy,
): StragglerReason | null {
  const { answer, offers, lastOfferedAtMs } = standing
  if (answer !== null) {
    if (answer.status !== 0) return answer.denylisted ? 'denylisted' : 'failed'
    return answer.truncated ? 'truncated' : null
  }
  if (standing.notApplicable) return 'not-applicable'
  if (node.deleted) return 'deleted'
  // An agent asks again only after it ran what it was given (spec 5.1): whoever asks and has not answered died while
  // running it, or never got the reply. A second offer says the same, since it follows a later read.
  const askedSince = lastOfferedAtMs !== null && node.lastReadAtMs > lastOfferedAtMs + policy.sameReadWithinMs
  if (offers >= policy.maxOffers) return 'given-up'
  if (offers > 1 || askedSince) return 'crashed'
  if (node.lastSeenAtMs < policy.onlineSinceMs) return 'offline'
  return offers === 1 ? 'offered' : 'waiting'
}
