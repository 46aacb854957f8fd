/**
 * The id of a distributed query on the wire: self-routing and bound to one node, so that a write needs no lookup and
 * a node can answer only what it was asked (design 4, Distributed read; R8). No dots: agents before 3.2.0 trip over
 * them (spec 5.4).
 */

import { bytesOfUuid, uuidOfBytes } from '../lib/bytes.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import { seal, unseal, type CredentialFault, type CredentialKind } from './credential.ts'
import type { SigningKeys } from './signing-keys.ts'

export interface WireQuery {
  environmentId: string
  /** The query's number inside its environment. */
  number: number
  /** How many answer shards the query is spread over (1…128). */
  shards: number
  ordinal: number
}

// environment 16, query number 4, shards 1, ordinal 4
const QUERY_ID: CredentialKind = { name: 'oeq', format: 1, payloadBytes: 25 }

export function makeQueryId(keys: SigningKeys, query: WireQuery): Promise<string> {
  const payload = new Uint8Array(QUERY_ID.payloadBytes)
  const view = new DataView(payload.buffer)
  payload.set(bytesOfUuid(query.environmentId), 0)
  view.setUint32(16, query.number)
  view.setUint8(20, query.shards)
  view.setUint32(21, query.ordinal)
  return seal(keys, QUERY_ID, payload)
}

export async function readQueryId(
  keys: SigningKeys,
  text: string,
): Promise<Result<WireQuery, CredentialFault>> {
  const payload = await unseal(keys, QUERY_ID, text)
  if (!payload.ok) return fail(payload.reason)
  const view = new DataView(payload.value.buffer, payload.value.byteOffset)
  return ok({
    environmentId: uuidOfBytes(payload.value.subarray(0, 16)),
    number: view.getUint32(16),
    shards: view.getUint8(20),
    ordinal: view.getUint32(21),
  })
}
