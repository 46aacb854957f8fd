/** What tells one signing key from another without saying anything of it, for operators and the command line. */

import { noteSigningKeys, type PresentKey } from '../db/signing-keys.ts'
import { hexOf, utf8 } from '../lib/bytes.ts'
import { loadSigningKeys } from './signing-keys.ts'

/** What is signed to make one; the command line makes the same (src/cli/keys/secret.ts). */
export const FINGERPRINT_LABEL = 'osquery-edge/signing-key-fingerprint/1'
/** Of the MAC's 16 bytes: enough to tell a handful of keys apart. */
export const FINGERPRINT_BYTES = 8

/** The keys that this Worker has. Throws SigningKeysUnusable. */
export async function presentKeys(secret: string): Promise<PresentKey[]> {
  const keys = await loadSigningKeys(secret)
  const present: PresentKey[] = []
  for (const keyId of keys.keyIds) {
    const mac = await keys.sign(keyId, utf8(FINGERPRINT_LABEL))
    const fingerprint = hexOf((mac ?? new Uint8Array(0)).subarray(0, FINGERPRINT_BYTES))
    present.push({ keyId, fingerprint, isCurrent: keyId === keys.currentKeyId })
  }
  return present
}

/** A duty of the schedule: D1 knows since when each key is there, was current, and was replaced. */
export async function noteKeysPresent(env: Env, nowMs: number): Promise<void> {
  await noteSigningKeys(env.DB, await presentKeys(env.SIGNING_KEYS), nowMs)
}
