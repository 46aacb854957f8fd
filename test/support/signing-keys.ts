/** Signing keys as operators make them, for tests of what is signed. */

import './workerd-crypto.ts'
import { loadSigningKeys, type SigningKeys } from '../../src/agent/signing-keys.ts'

/** The secret SIGNING_KEYS with these key ids; each id's bytes are its own, whatever the others are. */
export function signingSecret(current: string, ids: readonly string[]): string {
  return JSON.stringify({
    current,
    keys: Object.fromEntries(ids.map((id) => [id, btoa(id.padEnd(32, '.'))])),
  })
}

export function signingKeys(current: string, ids: readonly string[] = [current]): Promise<SigningKeys> {
  return loadSigningKeys(signingSecret(current, ids))
}
