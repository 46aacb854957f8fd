/**
 * The node key that enroll returns: signed and self-contained, verified without I/O (design 4, Node key).
 * 84 characters, header-safe.
 */

import { bytesOfUuid, uuidOfBytes, type Bytes } from '../lib/bytes.ts'
import { Recent } from '../lib/recent.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import { seal, unseal, type CredentialFault, type CredentialKind } from './credential.ts'
import type { SigningKeys } from './signing-keys.ts'
import { platformFamilyOfCode, platformFamilyCode, type PlatformFamily } from '../fleet/platform.ts'

/** Who a request comes from, as the node key says it (design R8: the only source of identity). */
export interface NodeIdentity {
  environmentId: string
  nodeId: string
  ordinal: number
  platformFamily: PlatformFamily
  splayBucket: number
  issuedAtS: number
}

// environment 16, node 16, ordinal 4, platform 1, splay bucket 1, issue time 4
const NODE_KEY: CredentialKind = { name: 'oen', format: 1, payloadBytes: 42 }

/** Makes a node key. Two keys of one node are both valid: a resent enroll must not kill the first. */
export function makeNodeKey(keys: SigningKeys, identity: NodeIdentity): Promise<string> {
  const payload = new Uint8Array(NODE_KEY.payloadBytes)
  const view = new DataView(payload.buffer)
  payload.set(bytesOfUuid(identity.environmentId), 0)
  payload.set(bytesOfUuid(identity.nodeId), 16)
  view.setUint32(32, identity.ordinal)
  view.setUint8(36, platformFamilyCode(identity.platformFamily))
  view.setUint8(37, identity.splayBucket)
  view.setUint32(38, identity.issuedAtS)
  return seal(keys, NODE_KEY, payload)
}

/** Twice so many keys are remembered, at about 400 bytes each: an isolate has 128 MB for everything (Workers limits). */
const KEYS_PER_GENERATION = 8_192

/** What an isolate remembers of a key that verified. */
export interface KnownKey {
  readonly identity: Readonly<NodeIdentity>
  /** The last body that came under this key in the header and named no other: when, and its Content-Length. */
  agreed: { atMs: number; length: string } | null
}

/**
 * Keys that verified in this isolate, by the signing keys that they verified under: a rotation begins anew. Failures are
 * not kept, or strangers could push nodes out. Looking a key up takes no constant time and tells nothing: texts are
 * compared only where their (seeded) hashes are equal, and a guess must hit 128 bits of MAC at once.
 */
const verified = new WeakMap<SigningKeys, Recent<KnownKey>>()

/** What is remembered of a key that verified not long ago; undefined: ask `readNodeKey`. */
export function knownKey(keys: SigningKeys, text: string): KnownKey | undefined {
  return verified.get(keys)?.get(text)
}

/** Reads a node key. */
export async function readNodeKey(
  keys: SigningKeys,
  text: string,
): Promise<Result<Readonly<NodeIdentity>, CredentialFault>> {
  const known = knownKey(keys, text)
  if (known !== undefined) return ok(known.identity)
  const payload = await unseal(keys, NODE_KEY, text)
  if (!payload.ok) return fail(payload.reason)
  const identity = identityOf(payload.value)
  let recent = verified.get(keys)
  if (recent === undefined) verified.set(keys, (recent = new Recent(KEYS_PER_GENERATION)))
  recent.set(text, { identity, agreed: null })
  return ok(identity)
}

function identityOf(payload: Bytes): NodeIdentity {
  const view = new DataView(payload.buffer, payload.byteOffset)
  return {
    environmentId: uuidOfBytes(payload.subarray(0, 16)),
    nodeId: uuidOfBytes(payload.subarray(16, 32)),
    ordinal: view.getUint32(32),
    platformFamily: platformFamilyOfCode(view.getUint8(36)),
    splayBucket: view.getUint8(37),
    issuedAtS: view.getUint32(38),
  }
}
