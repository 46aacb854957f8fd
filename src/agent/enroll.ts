/** POST …/enroll: a secret names the environment, the host's details name the node, a node key goes back (spec 2.1). */

import { upsertNode } from '../db/node-upsert.ts'
import { ruleAgainst } from '../fleet/enroll-rules.ts'
import { describeHost, readHostDetails, withoutNuls, type EnrollingHost } from '../fleet/identity.ts'
import { policyOf } from '../fleet/identity-policy.ts'
import { splayBucketOf } from '../fleet/splay.ts'
import { ENROLLED } from '../snapshot/enroll-counts.ts'
import { environmentIdOf, isEnrollPaused } from '../snapshot/head.ts'
import { SnapshotUnavailable } from '../snapshot/source.ts'
import { admit, environmentNamed } from './authenticate.ts'
import { readSmallObject, textMember } from './body.ts'
import { ANSWER_WITHIN_MS, ENROLL_D1_WITHIN_MS, MAX_ENROLLS_IN_FLIGHT } from './constants.ts'
import type { AgentContext } from './context.ts'
import { damperNames, type GivenKey } from './enroll-damper.ts'
import { findSecret, type KnownSecret, type NoSecret } from './enroll-secret.ts'
import { Holds } from './holds.ts'
import { makeNodeKey, type VerifiedNodeIdentity } from './node-key.ts'
import { answer, nodeInvalid, retry, type AgentOutcome } from './outcome.ts'
import { sourceAddressOf } from './source-address.ts'

/** The identity of a host that names itself in no way: all of them would be one node. Real agents always do. */
const NAMELESS = 'host:'

const inFlight = new Holds(MAX_ENROLLS_IN_FLIGHT)

export async function enroll(context: AgentContext): Promise<AgentOutcome> {
  const body = await readSmallObject(context.request, context.deadline, 'as-written')
  if (!body.ok) return retry(body.reason)
  const found = await findSecret(context, textMember(body.value, 'enroll_secret').trim())
  if (!found.ok) return withoutSecret(context, found.reason)
  const { environment } = found.value
  if (context.environmentReference !== null) {
    const named = await environmentNamed(context, context.environmentReference)
    if (named === null) return retry({ kind: 'unknown-environment' })
    if (named !== environment.id) {
      context.enrolls.note(context, named, '', 'other-environment')
      return nodeInvalid({ kind: 'wrong-secret' })
    }
  }
  const host = describeHost(
    withoutNuls(textMember(body.value, 'host_identifier')),
    textMember(body.value, 'platform_type'),
    readHostDetails(body.value['host_details']),
    policyOf(environment.identity ?? {}),
  )
  if (host.identity === NAMELESS)
    return retry({ kind: 'bad-request', detail: 'nothing says which host it is' })
  const rule = ruleAgainst(found.value.secret.rules ?? {}, applicantOf(context, host), context.receivedAtMs)
  if (rule !== null) return refused(context, found.value, rule)
  if (isEnrollPaused(environment, context.receivedAtMs)) return refused(context, found.value, 'brownout')
  const names = await damperNames(environment.id, found.value.secret.hash, host)
  const verdict = context.damper.judge(names.host, names.identity, context.receivedAtMs)
  if (verdict.kind === 'come-again') return refused(context, found.value, 'storm')
  if (verdict.kind === 'same') {
    const same = await sameKey(context, found.value, verdict)
    if (same !== null) {
      context.enrolls.note(context, environment.id, found.value.secret.id ?? '', ENROLLED)
      return same
    }
    context.damper.forget(names.host)
  }
  const giveBack = inFlight.take(context.receivedAtMs + ANSWER_WITHIN_MS, Date.now())
  if (giveBack === null) return retry({ kind: 'overloaded', what: 'enroll' })
  try {
    const damped = verdict.kind === 'ask' ? verdict.damped : 0
    return await enrollHost(context, found.value, host, { name: names.host, damped })
  } finally {
    giveBack()
  }
}

async function enrollHost(
  context: AgentContext,
  known: KnownSecret,
  host: EnrollingHost,
  { name, damped }: { name: string; damped: number },
): Promise<AgentOutcome> {
  const { env, receivedAtMs } = context
  const { environment, secret } = known
  const node = await context.deadline.run(
    upsertNode(env.DB, {
      environmentId: environment.id,
      host,
      secret,
      nowMs: receivedAtMs,
      signingKeyId: context.keys.currentKeyId,
      awaitsApproval: environment.approval === true,
      damped,
    }),
    ENROLL_D1_WITHIN_MS,
  )
  if (!node.ok) return refused(context, known, node.reason)
  const { ordinal, id: nodeId, issuedAtS } = node.value
  const identity: VerifiedNodeIdentity = {
    environmentId: environment.id,
    nodeId,
    ordinal,
    platformFamily: host.platformFamily,
    splayBucket: splayBucketOf(ordinal),
    issuedAtS,
    keyId: context.keys.currentKeyId,
    ...(node.value.isPending ? { awaitsApproval: true } : {}),
  }
  context.presence.note(context, identity, 'enroll')
  context.enrolls.note(context, environment.id, secret.id ?? '', ENROLLED)
  const nodeKey = await makeNodeKey(context.keys, identity)
  context.damper.gave(name, { identity, nodeKey }, receivedAtMs)
  return answer(JSON.stringify({ node_key: nodeKey }))
}

/** The key that the host got before, where it still counts; null: D1 has to be asked. */
async function sameKey(
  context: AgentContext,
  { environment, secret }: KnownSecret,
  { identity, nodeKey }: GivenKey,
): Promise<AgentOutcome | null> {
  try {
    if (identity.keyId !== context.keys.currentKeyId || !(await admit(context, identity)).ok) return null
  } catch (error) {
    if (error instanceof SnapshotUnavailable) return null
    throw error
  }
  context.presence.note(context, identity, 'enroll')
  context.presence.count(identity, 'enroll-damped')
  context.enrolls.note(context, environment.id, secret.id ?? '', ENROLLED)
  return answer(JSON.stringify({ node_key: nodeKey }))
}

function applicantOf({ request }: AgentContext, { platform, platformFamily }: EnrollingHost) {
  return { address: sourceAddressOf(request), platform, platformFamily }
}

/**
 * A secret's rule, or the environment's, keeps this host out. Never `node_invalid`: what refuses it may be changed, the
 * directory may be older than that change (R3), and until then it must keep what it has. osqueryd takes both for "try
 * again" (spec 2.1); other agents may not.
 */
function refused(context: AgentContext, { environment, secret }: KnownSecret, by: string): AgentOutcome {
  context.enrolls.note(context, environment.id, secret.id ?? '', by)
  return retry({ kind: 'enroll-refused', by })
}

/** What is known not to be a secret, or not to be one any more, is said to be wrong (R3). Nothing of it is kept. */
async function withoutSecret(context: AgentContext, reason: NoSecret): Promise<AgentOutcome> {
  switch (reason.kind) {
    case 'overloaded':
      return retry({ kind: 'overloaded', what: 'unknown secrets' })
    case 'revoked':
      context.enrolls.note(context, reason.secret.environmentId, reason.secret.id ?? '', 'revoked')
      return nodeInvalid({ kind: 'wrong-secret' })
    case 'unknown': {
      const { environmentReference } = context
      const directory = await context.snapshots.directory(context)
      const named =
        environmentReference === null ? undefined : environmentIdOf(directory, environmentReference)
      context.enrolls.note(context, named ?? '', '', 'wrong-secret')
      return nodeInvalid({ kind: 'wrong-secret' })
    }
  }
}
