/**
 * The session id that carve begin returns. Before 5.23.0 it is all that identifies a block's sender (spec 2.7), so it
 * is signed and names the node; and it carries the carve's plan, so that a block is checked without I/O. The same
 * announcement gives the same session id under one key: a resent begin changes nothing (R6).
 */

import { bytesOfUuid, concatBytes, hexOf, uuidOfBytes } from '../lib/bytes.ts'
import type { CarveClaim } from '../carves/claim.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import { seal, unseal, type CredentialFault, type CredentialKind } from './credential.ts'
import type { SigningKeys } from './signing-keys.ts'

// environment 16, node 16, ordinal 4, carve tag 16, request tag 8, block size 4, block count 4, carve size 8
const SESSION_ID: CredentialKind = { name: 'oec', format: 1, payloadBytes: 76 }

export function makeCarveSessionId(keys: SigningKeys, claim: CarveClaim): Promise<string> {
  const numbers = new Uint8Array(16)
  const view = new DataView(numbers.buffer)
  view.setUint32(0, claim.plan.blockSize)
  view.setUint32(4, claim.plan.blockCount)
  view.setBigUint64(8, BigInt(claim.plan.carveSize))
  const ordinal = new Uint8Array(4)
  new DataView(ordinal.buffer).setUint32(0, claim.ordinal)
  const { environmentId, nodeId, carveTag, requestTag } = claim
  const uuids = [bytesOfUuid(environmentId), bytesOfUuid(nodeId)]
  const tags = [bytesOfHex(carveTag), bytesOfHex(requestTag)]
  return seal(keys, SESSION_ID, concatBytes([...uuids, ordinal, ...tags, numbers]))
}

function bytesOfHex(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
}

export async function readCarveSessionId(
  keys: SigningKeys,
  text: string,
): Promise<Result<CarveClaim, CredentialFault>> {
  const payload = await unseal(keys, SESSION_ID, text)
  if (!payload.ok) return fail(payload.reason)
  const bytes = payload.value
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  return ok({
    environmentId: uuidOfBytes(bytes.subarray(0, 16)),
    nodeId: uuidOfBytes(bytes.subarray(16, 32)),
    ordinal: view.getUint32(32),
    carveTag: hexOf(bytes.subarray(36, 52)),
    requestTag: hexOf(bytes.subarray(52, 60)),
    plan: {
      blockSize: view.getUint32(60),
      blockCount: view.getUint32(64),
      carveSize: Number(view.getBigUint64(68)),
    },
  })
}
