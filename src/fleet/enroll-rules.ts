/** What an enroll secret asks of who enrolls with it, and what state it is in. Pure. */

import { addressKey, addressRange } from '../lib/ip-address.ts'

/** Rules of a secret, as the directory carries them: small ones only, each optional. Absent: no such rule. */
export interface SecretRules {
  /** Server time decides. */
  expiresAtMs?: number
  /** How many nodes it may let in. */
  quota?: number
  /** Whose quota it is: the first secret of a line of rotations. Absent: its own. */
  quotaGroup?: string
  /** Given to the node. */
  tags?: readonly string[]
  /** osqueryd's names of platforms, or families; lower case. */
  platforms?: readonly string[]
  /** Networks that requests may come from. */
  cidrs?: readonly string[]
  /** True where only listed serials get in: the list is in D1, where enroll's statement looks. */
  hasSerials?: boolean
}

/** Who comes with a secret, as far as the edge can judge it. */
export interface Applicant {
  /** As Cloudflare saw it; null where it is not known. */
  address: string | null
  platform: string
  platformFamily: string
}

/** The rules that are judged before D1 is asked. */
export type EdgeRule = 'expired' | 'platform' | 'network'

/** The first rule that keeps this one out; null: none. An address that is not known is in no network. */
export function ruleAgainst(rules: SecretRules, applicant: Applicant, nowMs: number): EdgeRule | null {
  const { expiresAtMs, platforms, cidrs } = rules
  if (expiresAtMs !== undefined && nowMs >= expiresAtMs) return 'expired'
  if (cidrs !== undefined && !isFrom(cidrs, applicant.address)) return 'network'
  if (platforms !== undefined && !isOf(platforms, applicant)) return 'platform'
  return null
}

function isFrom(cidrs: readonly string[], address: string | null): boolean {
  const key = address === null ? null : addressKey(address)
  if (key === null) return false
  return cidrs.some((cidr) => {
    const range = addressRange(cidr)
    return range !== null && range.first <= key && key <= range.last
  })
}

function isOf(platforms: readonly string[], { platform, platformFamily }: Applicant): boolean {
  return platforms.includes(platform.toLowerCase()) || platforms.includes(platformFamily)
}

/** A hardware serial as it is compared: nobody cares how it is written. */
export function normalSerial(serial: string): string {
  return serial.trim().toLowerCase()
}

export const SECRET_STATES = ['active', 'expiring', 'expired', 'exhausted', 'revoked'] as const
export type SecretState = (typeof SECRET_STATES)[number]

/** From so long before its end on, a secret is called expiring. */
export const EXPIRING_WITHIN_MS = 7 * 86_400_000

/** What a secret's state is called. What is final outweighs what may change. */
export function stateOfSecret(
  secret: {
    revokedAtMs: number | null
    expiresAtMs: number | null
    quota: number | null
    /** Nodes that use its quota. */
    nodes: number
  },
  nowMs: number,
): SecretState {
  const { revokedAtMs, expiresAtMs, quota, nodes } = secret
  if (revokedAtMs !== null) return 'revoked'
  if (expiresAtMs !== null && nowMs >= expiresAtMs) return 'expired'
  if (quota !== null && nodes >= quota) return 'exhausted'
  return expiresAtMs !== null && nowMs >= expiresAtMs - EXPIRING_WITHIN_MS ? 'expiring' : 'active'
}
