/** What a signed session id says: whose blocks these are, and how they are cut. */

import type { CarvePlan } from '../fleet/carve-plan.ts'

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
