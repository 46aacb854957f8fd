/** What becomes of machines that turn out to share one node. Pure. */

import type { TwoKeys } from './key-use.ts'

export const CLONE_POLICIES = ['split', 'flag'] as const
/** `split`: each machine gets a node of its own. `flag`: operators are told, and all keys stay valid. */
export type ClonePolicy = (typeof CLONE_POLICIES)[number]

/** How it is known that they are several. */
export type CloneEvidence =
  /** Two keys of the node are used by turns. */
  | ({ kind: 'two-keys' } & TwoKeys)
  /** Lines under one key name two hosts by turns. */
  | { kind: 'two-hosts'; hosts: readonly [string, string]; atS: number }

/** What the node's row says. */
export interface SharedNode {
  instanceId: string
  /** When an enroll last came with another instance id than the one before; null: never. */
  cloneSuspectedAtMs: number | null
  /** `joined`: an operator said that they are one. */
  clones: 'split' | 'flagged' | 'joined' | null
  splitBy: 'instance' | 'host' | null
  splitCount: number
  keyMinimumS: number
  /** Whether the secrets that its machines came with would let them in once more. */
  canEnroll: boolean
}

/**
 * Splitting again means that machines were told apart by nothing: such a pair would go on replacing each other's node
 * for ever. So many tries allow for enrolls of three machines at once in any order.
 */
export const MAX_SPLITS = 4

export type CloneVerdict =
  | { kind: 'split'; by: 'instance' | 'host'; keyMinimumS: number }
  | { kind: 'flag'; because: 'policy' | 'nothing-tells-them-apart' | 'secret-revoked' }
  | { kind: 'known' }

/**
 * Decides what to do. The machine with the newest key keeps the node: it is the one that the row describes. Keys that are
 * older are superseded, their machines enroll once more and get nodes of their own, by what tells them apart.
 */
export function judgeClones(node: SharedNode, evidence: CloneEvidence, policy: ClonePolicy): CloneVerdict {
  if (node.clones === 'joined') return { kind: 'known' }
  // Of one key both machines have to enroll anew.
  const keyMinimumS = evidence.kind === 'two-keys' ? evidence.newerS : evidence.atS
  if (keyMinimumS <= node.keyMinimumS) return { kind: 'known' }
  if (policy === 'flag') return { kind: 'flag', because: 'policy' }
  // Agents before 3.x tell no instance: they would get this node again and again.
  if (node.instanceId === '' || node.splitCount >= MAX_SPLITS)
    return { kind: 'flag', because: 'nothing-tells-them-apart' }
  // Who cannot enroll again would be out for good.
  if (!node.canEnroll) return { kind: 'flag', because: 'secret-revoked' }
  return { kind: 'split', by: splitBy(node, evidence), keyMinimumS }
}

function splitBy(node: SharedNode, evidence: CloneEvidence): 'instance' | 'host' {
  if (node.splitBy === 'host' || evidence.kind === 'two-hosts') return 'host'
  const suspectedAtS = node.cloneSuspectedAtMs === null ? 0 : Math.floor(node.cloneSuspectedAtMs / 1_000)
  // Another instance enrolled after the older key was issued. If none did, the database was copied with the machine.
  return suspectedAtS >= evidence.olderS && suspectedAtS > 0 ? 'instance' : 'host'
}
