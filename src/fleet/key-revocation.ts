/**
 * Node keys that stop to count: those issued before a second, of one signing key or of any. Over a span of time if so
 * wanted, a growing share of the nodes, because each of them enrolls anew: a fleet must not storm enroll. Decided from
 * the head and the clock alone, so that no step of it needs storage. Pure.
 */

import { isInShare } from './share.ts'

/** Enrolls a second that a default pace makes: the enroll storm of 20,000 nodes had several times as many. */
export const PACED_ENROLLS_PER_S = 50
/** Up to so many nodes are revoked at once by default. */
const AT_ONCE_NODES = 1_000
/** A pace of more than a week is no revocation. */
export const MAX_OVER_S = 7 * 86_400

export interface KeyRevocation {
  /** Keys issued before this second. A key that is issued later counts, whatever signed it: nobody enrolls in a loop. */
  issuedBeforeS: number
  /** The signing key that they are under; absent: any. */
  keyId?: number
  /** When it begins, and over how many seconds it reaches all nodes. */
  fromS: number
  overS: number
}

/** What of a node key says whether it is revoked. */
export interface IssuedKey {
  ordinal: number
  issuedAtS: number
  keyId: number
}

/** Whether one of these revocations has reached this key. The same nodes come first each time. */
export function isKeyRevoked(
  revocations: readonly KeyRevocation[] | undefined,
  key: IssuedKey,
  nowS: number,
): boolean {
  return revocations !== undefined && revocations.some((revocation) => reaches(revocation, key, nowS))
}

function reaches(
  { issuedBeforeS, keyId, fromS, overS }: KeyRevocation,
  key: IssuedKey,
  nowS: number,
): boolean {
  if (key.issuedAtS >= issuedBeforeS || (keyId !== undefined && key.keyId !== keyId)) return false
  if (nowS >= fromS + overS) return true
  return isInShare(key.ordinal, ((nowS - fromS) / overS) * 100)
}

/** The pace where an operator gives none, in seconds. */
export function defaultOverS(nodes: number): number {
  return nodes <= AT_ONCE_NODES ? 0 : Math.min(MAX_OVER_S, Math.ceil(nodes / PACED_ENROLLS_PER_S))
}

/**
 * Splits revocations into what every Worker understands - one least issue time - and those that need this module: of one
 * signing key, or paced.
 */
export function settled(
  revocations: readonly KeyRevocation[],
  minimumIssuedAtS: number,
): { minimumIssuedAtS: number; revocations: KeyRevocation[] } {
  const isPlain = ({ keyId, overS }: KeyRevocation) => keyId === undefined && overS === 0
  const plain = revocations.filter(isPlain).map(({ issuedBeforeS }) => issuedBeforeS)
  return {
    minimumIssuedAtS: Math.max(minimumIssuedAtS, ...plain),
    revocations: revocations.filter((revocation) => !isPlain(revocation)),
  }
}
