/** When a signing key may leave the secret SIGNING_KEYS. Pure. */

/**
 * What is under it and under way - answers to queries, blocks of carves - is still brought for so long: a carve may take
 * hours, and agents come back after a night.
 */
export const IN_FLIGHT_MS = 24 * 3_600_000

export interface KeyFacts {
  isCurrent: boolean
  /** When another key became current; or when this one was first seen, where it never was that. Null: never seen. */
  quietSinceMs: number | null
  /** Nodes whose newest key is under it, as far as is known. */
  nodes: number
  /** Secrets of sinks and webhooks that only it opens. */
  sealed: number
  /** When the revocation of its node keys reaches all; null: they were not revoked. */
  revokedFromMs: number | null
}

export type Blocker =
  | { kind: 'current' }
  | { kind: 'not-revoked' }
  | { kind: 'being-revoked'; untilMs: number }
  | { kind: 'in-flight'; untilMs: number }
  | { kind: 'nodes'; nodes: number }
  | { kind: 'sealed'; sealed: number }

/** Why it may not leave yet; none: it may. */
export function blockersOf(facts: KeyFacts, nowMs: number): Blocker[] {
  if (facts.isCurrent) return [{ kind: 'current' }]
  const blockers: Blocker[] = []
  const { revokedFromMs, quietSinceMs, nodes, sealed } = facts
  if (revokedFromMs === null) blockers.push({ kind: 'not-revoked' })
  else if (revokedFromMs > nowMs) blockers.push({ kind: 'being-revoked', untilMs: revokedFromMs })
  const quietFromMs = (quietSinceMs ?? nowMs) + IN_FLIGHT_MS
  if (quietFromMs > nowMs) blockers.push({ kind: 'in-flight', untilMs: quietFromMs })
  if (nodes > 0) blockers.push({ kind: 'nodes', nodes })
  if (sealed > 0) blockers.push({ kind: 'sealed', sealed })
  return blockers
}

/** A blocker for people. */
export function blockerText(blocker: Blocker): string {
  switch (blocker.kind) {
    case 'current':
      return 'it is the current key: switch to another first'
    case 'not-revoked':
      return 'its node keys were not revoked: whoever holds one would be told `retry` for ever'
    case 'being-revoked':
      return `its node keys are being revoked until ${timeText(blocker.untilMs)}`
    case 'in-flight':
      return `answers and carves under it may be under way until ${timeText(blocker.untilMs)}`
    case 'nodes':
      return `${blocker.nodes} nodes have not enrolled anew since`
    case 'sealed':
      return `${blocker.sealed} secrets of sinks or webhooks are sealed under it: nobody could open them any more`
  }
}

function timeText(ms: number): string {
  return new Date(ms).toISOString()
}
