/**
 * The form that node keys, wire query ids and carve session ids share: a prefix that names what it is and its
 * format, then base64url of `key id | payload | MAC`. The MAC covers the prefix too, so that one kind never passes
 * for another.
 */

import { base64UrlOf, bytesOfBase64Url, concatBytes, hasCleanEnd, utf8, type Bytes } from '../lib/bytes.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import { MAC_BYTES, type SigningKeys } from './signing-keys.ts'

export interface CredentialKind {
  /** e.g. `oen`; the format digit and a dash follow it: `oen1-`. */
  name: string
  format: number
  payloadBytes: number
}

export type CredentialFault =
  /** Not one of ours at all. */
  | 'foreign'
  /** Ours, but of a format or key id that this Worker does not know yet, or no longer. */
  | 'unknown-format'
  | 'bad-mac'

/** What every credential of a kind begins with. */
export function prefixOf({ name, format }: CredentialKind): string {
  return `${name}${format}-`
}

/**
 * The id of the signing key that a text says it is under, be it true or not; null where it is no credential. For keys
 * that are not known here any more.
 */
export function keyIdOf(text: string): number | null {
  const first = /^[a-z]{3}\d-([A-Za-z0-9_-]{4})/.exec(text)?.[1]
  return first === undefined ? null : (bytesOfBase64Url(first)?.[0] ?? null)
}

/** Makes the text of a credential. Throws when the current key is missing, which loading the keys rules out. */
export async function seal(keys: SigningKeys, kind: CredentialKind, payload: Bytes): Promise<string> {
  const prefix = prefixOf(kind)
  const signed = concatBytes([new Uint8Array([keys.currentKeyId]), payload])
  const mac = await keys.sign(keys.currentKeyId, concatBytes([utf8(prefix), signed]))
  if (mac === null) throw new Error('the current signing key is missing')
  return prefix + base64UrlOf(concatBytes([signed, mac]))
}

/** The payload of a credential that verifies, or why it does not. No I/O. */
export async function unseal(
  keys: SigningKeys,
  kind: CredentialKind,
  text: string,
): Promise<Result<Bytes, CredentialFault>> {
  const shape = /^([a-z]{3})(\d)-([A-Za-z0-9_-]+)$/.exec(text)
  if (shape === null || shape[1] !== kind.name) return fail('foreign')
  if (shape[2] !== String(kind.format)) return fail('unknown-format')
  const bytes = bytesOfBase64Url(shape[3] ?? '')
  // One text for each credential: base64 has spare bits at its end, which must be as we wrote them.
  const isWhole = bytes?.length === 1 + kind.payloadBytes + MAC_BYTES && hasCleanEnd(shape[3] ?? '')
  if (bytes === null || !isWhole) return fail('foreign')
  const signed = bytes.subarray(0, 1 + kind.payloadBytes)
  const covered = concatBytes([utf8(prefixOf(kind)), signed])
  const verdict = await keys.verify(signed[0] ?? 0, covered, bytes.subarray(signed.length))
  if (verdict === null) return fail('unknown-format')
  return verdict ? ok(signed.subarray(1)) : fail('bad-mac')
}
