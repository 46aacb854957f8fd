/** POST …/enroll: a secret names the environment, the host's details name the node, a node key goes back (spec 2.1). */

import { upsertNode } from '../db/node-upsert.ts'
import { describeHost, readHostDetails, withoutNuls } from '../fleet/identity.ts'
import { splayBucketOf } from '../fleet/splay.ts'
import { environmentNamed } from './authenticate.ts'
import { readSmallObject, textMember } from './body.ts'
import { ENROLL_D1_WITHIN_MS, MAX_ENROLLS_IN_FLIGHT } from './constants.ts'
import type { AgentContext } from './context.ts'
import { findSecret, type KnownSecret } from './enroll-secret.ts'
import { makeNodeKey, type NodeIdentity } from './node-key.ts'
import { answer, nodeInvalid, retry, type AgentOutcome } from './outcome.ts'

/** The identity of a host that names itself in no way: all of them would be one node. Real agents always do. */
const NAMELESS = 'host:'

let enrollsInFlight = 0

export async function enroll(context: AgentContext): Promise<AgentOutcome> {
  const body = await readSmallObject(context.request, context.deadline, 'as-written')
  if (!body.ok) return retry(body.reason)
  const found = await findSecret(context, textMember(body.value, 'enroll_secret').trim())
  if (!found.ok) return nodeInvalid({ kind: 'wrong-secret' })
  const { environment } = found.value
  if (context.environmentReference !== null) {
    const named = await environmentNamed(context, context.environmentReference)
    if (named === null) return retry({ kind: 'unknown-environment' })
    if (named !== environment.id) return nodeInvalid({ kind: 'wrong-secret' })
  }
  if (enrollsInFlight >= MAX_ENROLLS_IN_FLIGHT) return retry({ kind: 'overloaded', what: 'enroll' })
  enrollsInFlight += 1
  try {
    return await enrollHost(context, found.value, body.value)
  } finally {
    enrollsInFlight -= 1
  }
}

async function enrollHost(
  context: AgentContext,
  { environment, secret }: KnownSecret,
  body: Record<string, unknown>,
): Promise<AgentOutcome> {
  const host = describeHost(
    withoutNuls(textMember(body, 'host_identifier')),
    textMember(body, 'platform_type'),
    readHostDetails(body['host_details']),
  )
  if (host.identity === NAMELESS)
    return retry({ kind: 'bad-request', detail: 'nothing says which host it is' })
  const { env, receivedAtMs } = context
  const node = await context.deadline.run(
    upsertNode(env.DB, { environmentId: environment.id, host, secret, nowMs: receivedAtMs }),
    ENROLL_D1_WITHIN_MS,
  )
  // Never `node_invalid`: what refuses it may be changed, and it must keep what it has until then.
  if (!node.ok) return retry({ kind: 'enroll-refused', by: node.reason })
  const { ordinal, id: nodeId } = node.value
  const identity: NodeIdentity = {
    environmentId: environment.id,
    nodeId,
    ordinal,
    platformFamily: host.platformFamily,
    splayBucket: splayBucketOf(ordinal),
    issuedAtS: Math.floor(receivedAtMs / 1_000),
  }
  context.presence.note(context, identity, 'enroll')
  return answer(JSON.stringify({ node_key: await makeNodeKey(context.keys, identity) }))
}
