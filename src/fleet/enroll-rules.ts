/** What an enroll secret asks of who enrolls with it. Pure. */

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
  /** osquery's names of platforms, or families. */
  platforms?: readonly string[]
  /** Networks that requests may come from. */
  cidrs?: readonly string[]
  /** True where only listed serials get in: the list is in D1, where enroll's statement looks. */
  hasSerials?: boolean
}

/** A hardware serial as it is compared. */
export function normalSerial(serial: string): string {
  return serial.trim().toLowerCase()
}
