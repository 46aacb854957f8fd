/**
 * The node key that enroll returns: signed and self-contained, verified without I/O (design 4, Node key).
 * 84 characters, header-safe.
 */

import { bytesOfUuid, uuidOfBytes, type Bytes } from '../lib/bytes.ts'
import { Recent } from '../lib/recent.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import { keyIdOf, prefixOf, seal, unseal, type CredentialFault, type CredentialKind } from './credential.ts'
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
  /** It was given out while its node waited for approval: it counts once the head says that the node was approved. */
  awaitsApproval?: true
}

/** A node key that verified. */
export interface VerifiedNodeIdentity extends NodeIdentity {
  /** The signing key that it is under. */
  keyId: number
}

// environment 16, node 16, ordinal 4, platform 1, splay bucket 1, issue time 4
const NODE_KEY: CredentialKind = { name: 'oen', format: 1, payloadBytes: 42 }
// The same and a byte of flags. Only keys with a flag are of this format: for a Worker of before there were flags they
// are of an unknown one, and it says `retry` instead of treating the node as any other.
const FLAGGED_NODE_KEY: CredentialKind = { name: 'oen', format: 2, payloadBytes: 43 }
const FLAGS_AT = 42
const AWAITS_APPROVAL = 1

/** Makes a node key. Two keys of one node are both valid: a resent enroll must not kill the first. */
export function makeNodeKey(keys: SigningKeys, identity: NodeIdentity): Promise<string> {
  const kind = identity.awaitsApproval === true ? FLAGGED_NODE_KEY : NODE_KEY
  const payload = new Uint8Array(kind.payloadBytes)
  const view = new DataView(payload.buffer)
  payload.set(bytesOfUuid(identity.environmentId), 0)
  payload.set(bytesOfUuid(identity.nodeId), 16)
  view.setUint32(32, identity.ordinal)
  view.setUint8(36, platformFamilyCode(identity.platformFamily))
  view.setUint8(37, identity.splayBucket)
  view.setUint32(38, identity.issuedAtS)
  if (kind === FLAGGED_NODE_KEY) view.setUint8(FLAGS_AT, AWAITS_APPROVAL)
  return seal(keys, kind, payload)
}

/** Twice so many keys are remembered, at about 400 bytes each: an isolate has 128 MB for everything (Workers limits). */
const KEYS_PER_GENERATION = 8_192

/** What an isolate remembers of a key that verified. */
export interface KnownKey {
  readonly identity: Readonly<VerifiedNodeIdentity>
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
): Promise<Result<Readonly<VerifiedNodeIdentity>, CredentialFault>> {
  const known = knownKey(keys, text)
  if (known !== undefined) return ok(known.identity)
  const kind = text.startsWith(prefixOf(FLAGGED_NODE_KEY)) ? FLAGGED_NODE_KEY : NODE_KEY
  const payload = await unseal(keys, kind, text)
  if (!payload.ok) return fail(payload.reason)
  const flags = kind === FLAGGED_NODE_KEY ? (payload.value[FLAGS_AT] ?? 0) : 0
  // A flag that only a newer Worker knows may change everything about the node.
  if ((flags & ~AWAITS_APPROVAL) !== 0) return fail('unknown-format')
  const identity = identityOf(payload.value, keyIdOf(text) ?? keys.currentKeyId, flags)
  let recent = verified.get(keys)
  if (recent === undefined) verified.set(keys, (recent = new Recent(KEYS_PER_GENERATION)))
  recent.set(text, { identity, agreed: null })
  return ok(identity)
}

function identityOf(payload: Bytes, keyId: number, flags: number): VerifiedNodeIdentity {
  const view = new DataView(payload.buffer, payload.byteOffset)
  return {
    environmentId: uuidOfBytes(payload.subarray(0, 16)),
    nodeId: uuidOfBytes(payload.subarray(16, 32)),
    ordinal: view.getUint32(32),
    platformFamily: platformFamilyOfCode(view.getUint8(36)),
    splayBucket: view.getUint8(37),
    issuedAtS: view.getUint32(38),
    keyId,
    ...((flags & AWAITS_APPROVAL) === 0 ? {} : { awaitsApproval: true }),
  }
}
