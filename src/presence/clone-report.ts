/** What a Presence object does once it knows that machines share a node: D1 is told, and the snapshot is made anew. */

import { readSharedNode, settleClones } from '../db/clones.ts'
import { judgeClones, type CloneEvidence, type CloneVerdict } from '../fleet/clones.ts'
import { Deadline } from '../lib/deadline.ts'

/** One read, one write, one publication: what takes longer is tried again with the next flush. */
const SETTLE_WITHIN_MS = 20_000

/** Settles what is to become of a shared node. Throws where D1 does not answer. */
export async function reportClones(
  env: Env,
  environmentId: string,
  ordinal: number,
  evidence: CloneEvidence,
): Promise<CloneVerdict['kind']> {
  return new Deadline(SETTLE_WITHIN_MS).run(settle(env, environmentId, ordinal, evidence))
}

async function settle(
  env: Env,
  environmentId: string,
  ordinal: number,
  evidence: CloneEvidence,
): Promise<CloneVerdict['kind']> {
  const found = await readSharedNode(env.DB, environmentId, ordinal)
  if (found === null) return 'known'
  const verdict = judgeClones(found.node, evidence, found.policy)
  const revision = await settleClones(env.DB, environmentId, found.node, verdict, evidence, Date.now())
  console.warn(
    JSON.stringify({
      event: 'clones',
      environmentId,
      ordinal,
      evidence: evidence.kind,
      verdict: verdict.kind,
    }),
  )
  // Should this fail, the environment's alarm finds the revision.
  if (revision !== null) await env.ENVIRONMENT.getByName(environmentId).refresh(revision, false)
  return verdict.kind
}
