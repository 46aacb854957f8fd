/** What a signed session id says: whose blocks these are, and how they are cut. And what a carve is named by. */

import type { CarvePlan } from '../fleet/carve-plan.ts'
import { hexOf, sha256, utf8 } from '../lib/bytes.ts'

const CARVE_TAG_BYTES = 16
const REQUEST_TAG_BYTES = 8

export interface CarveClaim {
  environmentId: string
  nodeId: string
  ordinal: number
  /** Names the carve id (hexadecimal), which may be any text. */
  carveTag: string
  /** Names the request id (hexadecimal). */
  requestTag: string
  plan: CarvePlan
}

/** The session object of one carve of one node. */
export function carveSessionStub(
  env: Env,
  { environmentId, nodeId, carveTag }: Pick<CarveClaim, 'environmentId' | 'nodeId' | 'carveTag'>,
) {
  return env.CARVE_SESSION.getByName(`${environmentId}/${nodeId}/${carveTag}`)
}

/** Where a carve's archive lies. The node is in it: a carve id is only a claim, two nodes may make the same one. */
export function archiveKey(environmentId: string, nodeId: string, carveTag: string): string {
  return `carves/environment=${environmentId}/node=${nodeId}/${carveTag}.tar`
}

/** The tag of a carve id: the first 16 bytes of its SHA-256, as hexadecimal. */
export async function carveTagOf(carveId: string): Promise<string> {
  return hexOf((await sha256(utf8(carveId))).subarray(0, CARVE_TAG_BYTES))
}

/** The tag of a request id: the first 8 bytes of its SHA-256, as hexadecimal. */
export async function requestTagOf(requestId: string): Promise<string> {
  return hexOf((await sha256(utf8(requestId))).subarray(0, REQUEST_TAG_BYTES))
}
