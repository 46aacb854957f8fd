/** POST …/enroll: a secret names the environment, the host's details name the node, a node key goes back (spec 2.1). */

import { upsertNode } from '../db/node-upsert.ts'
import { describeHost, readHostDetails, withoutNuls } from '../fleet/identity.ts'
import { splayBucketOf } from '../fleet/splay.ts'
import { sha256, utf8, hexOf } from '../lib/bytes.ts'
import type { Directory } from '../snapshot/head.ts'
import { environmentNamed } from './authenticate.ts'
import { readSmallObject, textMember } from './body.ts'
import { ENROLL_D1_WITHIN_MS, MAX_ENROLLS_IN_FLIGHT } from './constants.ts'
import type { AgentContext } from './context.ts'
import { makeNodeKey, type NodeIdentity } from './node-key.ts'
import { answer, nodeInvalid, retry, type AgentOutcome } from './outcome.ts'

/** The identity of a host that names itself in no way: all of them would be one node. Real agents always do. */
const NAMELESS = 'host:'

let enrollsInFlight = 0

export async function enroll(context: AgentContext): Promise<AgentOutcome> {
  const body = await readSmallObject(context.request, context.deadline, 'as-written')
  if (!body.ok) return retry(body.reason)
  const environmentId = await environmentOfSecret(context, textMember(body.value, 'enroll_secret').trim())
  if (environmentId === null) return nodeInvalid({ kind: 'wrong-secret' })
  if (context.environmentReference !== null) {
    const named = await environmentNamed(context, context.environmentReference)
    if (named === null) return retry({ kind: 'unknown-environment' })
    if (named !== environmentId) return nodeInvalid({ kind: 'wrong-secret' })
  }
  if (enrollsInFlight >= MAX_ENROLLS_IN_FLIGHT) return retry({ kind: 'overloaded', what: 'enroll' })
  enrollsInFlight += 1
  try {
    return await enrollHost(context, environmentId, body.value)
  } finally {
    enrollsInFlight -= 1
  }
}

async function enrollHost(
  context: AgentContext,
  environmentId: string,
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
    upsertNode(env.DB, environmentId, host, receivedAtMs),
    ENROLL_D1_WITHIN_MS,
  )
  const identity: NodeIdentity = {
    environmentId,
    nodeId: node.id,
    ordinal: node.ordinal,
    platformFamily: host.platformFamily,
    splayBucket: splayBucketOf(node.ordinal),
    issuedAtS: Math.floor(receivedAtMs / 1_000),
  }
  context.presence.note(context, identity, 'enroll')
  return answer(JSON.stringify({ node_key: await makeNodeKey(context.keys, identity) }))
}

/**
 * The environment that a secret belongs to, or null. An empty secret belongs to none, whatever is stored. A miss looks
 * once more into a fresh directory, at most once a second and isolate, before it is believed.
 */
async function environmentOfSecret(context: AgentContext, secret: string): Promise<string | null> {
  if (secret === '') return null
  const hash = hexOf(await sha256(utf8(secret)))
  const known = lookUp(await context.snapshots.directory(context), hash)
  return known ?? lookUp(await context.snapshots.directoryAfterMiss(context), hash)
}

/** Walks through all secrets with a constant-time compare, so that timing tells nothing about any of them. */
function lookUp(directory: Directory, hash: string): string | null {
  let found: string | null = null
  const wanted = utf8(hash)
  for (const secret of directory.secrets) {
    if (crypto.subtle.timingSafeEqual(utf8(secret.hash), wanted)) found = secret.environmentId
  }
  return found
}
