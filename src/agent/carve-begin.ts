/**
 * Carve start (spec 2.6): checks what the agent announces, opens the session, and hands out its signed id. An answer
 * without a session id makes the agent give this carve up; only `retry` makes it come back.
 */

import { carveSessionStub, carveTagOf, requestTagOf, type CarveClaim } from '../carves/claim.ts'
import { planCarve } from '../fleet/carve-plan.ts'
import { authenticate } from './authenticate.ts'
import { integerMember, readSmallObject, textMember } from './body.ts'
import { makeCarveSessionId } from './carve-session-id.ts'
import type { AgentContext } from './context.ts'
import { answer, retry, type AgentOutcome } from './outcome.ts'

/** POST carve/begin. */
export async function carveBegin(context: AgentContext): Promise<AgentOutcome> {
  const body = await readSmallObject(context.request, context.deadline)
  if (!body.ok) return body.reason.kind === 'too-large' ? refused('too-large') : retry(body.reason)
  const node = await authenticate(context, textMember(body.value, 'node_key'), 'taken')
  if (!node.ok) return node.reason
  if (node.value.isPending) return refused('pending')
  const { identity } = node.value
  context.presence.note(context, identity, 'carve')

  const carveId = textMember(body.value, 'carve_id')
  const requestId = textMember(body.value, 'request_id')
  const plan = planCarve({
    carveId,
    requestId,
    blockSize: integerMember(body.value, 'block_size'),
    blockCount: integerMember(body.value, 'block_count'),
    carveSize: integerMember(body.value, 'carve_size'),
  })
  if (!plan.ok) return refused(plan.reason.kind)
  const { environmentId, nodeId, ordinal } = identity
  const tags = { carveTag: await carveTagOf(carveId), requestTag: await requestTagOf(requestId) }
  return open(context, { environmentId, nodeId, ordinal, ...tags, plan: plan.value }, carveId)
}

async function open(context: AgentContext, claim: CarveClaim, carveId: string): Promise<AgentOutcome> {
  const { env, deadline } = context
  const { environmentId, nodeId, ordinal, carveTag, plan } = claim
  const environment = env.ENVIRONMENT.getByName(environmentId)
  const isAdmitted = environment.admitCarve(`${nodeId}/${carveTag}`, ordinal, plan.carveSize)
  if (!(await deadline.run(isAdmitted))) return refused('quota')
  const verdict = await deadline.run(carveSessionStub(env, claim).begin(claim, carveId))
  if (verdict === 'refused') return refused('another-announcement')
  return answer(JSON.stringify({ session_id: await makeCarveSessionId(context.keys, claim) }))
}

function refused(detail: string): AgentOutcome {
  return { kind: 'carve-refused', detail }
}
