/**
 * The deployment's signing keys: HMAC-SHA-256, made by the secret SIGNING_KEYS =
 * `{"current":"k1","keys":{"k1":"<base64 of at least 32 bytes>"}}`. Key ids are k0…k255. Rotation: first every
 * Worker gets the new key beside the old one, then `current` moves (design 4, Node key).
 */

import { bytesOfBase64, type Bytes } from '../lib/bytes.ts'

/** MACs are truncated to 128 bits: far beyond guessing, and a node key stays short enough for a header. */
export const MAC_BYTES = 16

/** What a key signs to make its fingerprint; the command line makes the same (src/cli/keys/secret.ts). */
export const FINGERPRINT_LABEL = 'osquery-edge/signing-key-fingerprint/1'
/** Of that MAC: enough to tell a handful of keys apart. */
export const FINGERPRINT_BYTES = 8

export interface SigningKeys {
  currentKeyId: number
  /** All of them, ascending. */
  keyIds: readonly number[]
  has(keyId: number): boolean
  /** The HMAC of the payload under the key, or null where the key id is unknown. */
  sign(keyId: number, payload: Bytes): Promise<Bytes | null>
  /** Whether the MAC fits; null where the key id is unknown. Constant time. */
  verify(keyId: number, payload: Bytes, mac: Bytes): Promise<boolean | null>
}

/** Thrown when SIGNING_KEYS is missing or broken: every agent then gets `retry`, never a default key. */
export class SigningKeysUnusable extends Error {
  override readonly name = 'SigningKeysUnusable'
}

/** Imported keys by secret text: immutable values, so isolates may share them between requests. */
const imported = new Map<string, SigningKeys>()

/** The keys of this secret, where they were imported already: nearly always. */
export function knownSigningKeys(secret: string | undefined): SigningKeys | undefined {
  return imported.get(secret ?? '')
}

/** Reads the secret. Throws SigningKeysUnusable. */
export async function loadSigningKeys(secret: string | undefined): Promise<SigningKeys> {
  const known = knownSigningKeys(secret)
  if (known !== undefined) return known
  const keys = await importKeys(secret)
  imported.set(secret ?? '', keys)
  return keys
}

async function importKeys(secret: string | undefined): Promise<SigningKeys> {
  const { current, keys } = parseSecret(secret)
  const byId = new Map<number, CryptoKey>()
  for (const [name, text] of Object.entries(keys)) {
    const bytes = bytesOfBase64(text)
    if (bytes === null || bytes.length < 32)
      throw new SigningKeysUnusable('a signing key is not base64 of 32 bytes')
    const algorithm = { name: 'HMAC', hash: 'SHA-256' }
    byId.set(keyIdOf(name), await crypto.subtle.importKey('raw', bytes, algorithm, false, ['sign']))
  }
  const currentKeyId = keyIdOf(current)
  if (!byId.has(currentKeyId)) throw new SigningKeysUnusable('the current signing key is not among the keys')

  async function sign(keyId: number, payload: Bytes): Promise<Bytes | null> {
    const key = byId.get(keyId)
    if (key === undefined) return null
    return new Uint8Array(await crypto.subtle.sign('HMAC', key, payload), 0, MAC_BYTES)
  }
  return {
    currentKeyId,
    keyIds: [...byId.keys()].sort((a, b) => a - b),
    has: (keyId) => byId.has(keyId),
    sign,
    async verify(keyId, payload, mac) {
      const expected = await sign(keyId, payload)
      if (expected === null) return null
      return mac.length === MAC_BYTES && crypto.subtle.timingSafeEqual(expected, mac)
    },
  }
}

function parseSecret(secret: string | undefined): { current: string; keys: Record<string, string> } {
  let parsed: unknown
  try {
    parsed = JSON.parse(secret ?? '')
  } catch {
    throw new SigningKeysUnusable('SIGNING_KEYS is not set or not JSON')
  }
  const { current, keys } = (parsed ?? {}) as { current?: unknown; keys?: unknown }
  if (typeof current !== 'string' || typeof keys !== 'object' || keys === null) {
    throw new SigningKeysUnusable('SIGNING_KEYS needs the members current and keys')
  }
  if (Object.values(keys).some((text) => typeof text !== 'string')) {
    throw new SigningKeysUnusable('the signing keys are not texts')
  }
  return { current, keys: keys as Record<string, string> }
}

function keyIdOf(name: string): number {
  const id = /^k(\d{1,3})$/.exec(name)?.[1]
  if (id === undefined || Number(id) > 255) throw new SigningKeysUnusable('key ids are k0 to k255')
  return Number(id)
}
