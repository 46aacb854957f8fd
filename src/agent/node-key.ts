/**
 * The node key that enroll returns: signed and self-contained, verified without I/O (design 4, Node key).
 * 84 characters, header-safe.
 */

import { bytesOfUuid, uuidOfBytes, type Bytes } from '../lib/bytes.ts'
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

/** Reads a node key. */
export async function readNodeKey(
  keys: SigningKeys,
  text: string,
): Promise<Result<NodeIdentity, CredentialFault>> {
  const payload = await unseal(keys, NODE_KEY, text)
  return payload.ok ? ok(identityOf(payload.value)) : fail(payload.reason)
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
