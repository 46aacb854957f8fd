/** What tells one signing key from another without saying anything of it, for operators and the command line. */

import { noteSigningKeys, type PresentKey } from '../db/signing-keys.ts'
import { hexOf, utf8 } from '../lib/bytes.ts'
import { FINGERPRINT_BYTES, FINGERPRINT_LABEL, loadSigningKeys } from './signing-keys.ts'

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
