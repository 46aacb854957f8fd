/**
 * Who is asking. Identity comes from the node key alone (design R8), from the Authorization header (5.23.0 on) or
 * the body; a valid key in either place authenticates, and the header wins (R9).
 */

import { environmentIdOf, type EnvironmentHead } from '../snapshot/head.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import type { AgentContext } from './context.ts'
import { knownKey, readNodeKey, type NodeIdentity } from './node-key.ts'
import { nodeInvalid, retry, type AgentOutcome } from './outcome.ts'

/** After this a body is looked at again, whether it still names the key that is in the header. */
const BODY_AGREED_FOR_MS = 15 * 60_000

/** What admitting a node needs of a request: the log consumer admits without one. */
export type Admission = Pick<
  AgentContext,
  'env' | 'deadline' | 'snapshots' | 'waitUntil' | 'environmentReference'
>

/** What recognising a node needs: memory alone. */
export type Sight = Pick<AgentContext, 'request' | 'keys' | 'receivedAtMs' | 'environmentReference'> & {
  snapshots: Pick<AgentContext['snapshots'], 'known'>
}

export interface AuthenticatedNode {
  identity: Readonly<NodeIdentity>
  head: EnvironmentHead
}

/** The key in the Authorization header: the scheme NodeKey, in any case. Null where there is none. */
export function headerKeyOf(request: Request): string | null {
  const header = request.headers.get('authorization')
  return /^nodekey\s+(\S+)\s*$/i.exec(header ?? '')?.[1] ?? null
}

/**
 * The node that the header names, where this isolate remembers all that decides about it; null: read the body and
 * `authenticate`. The body is left unread, which costs a poll as much as all the rest: under this key one of the same
 * length came lately that named no other key, so there is nothing in it (R9).
 */
export function recognise(context: Sight): AuthenticatedNode | null {
  const key = headerKeyOf(context.request)
  const agreed = key === null ? null : (knownKey(context.keys, key)?.agreed ?? null)
  if (key === null || agreed === null || context.receivedAtMs - agreed.atMs > BODY_AGREED_FOR_MS) return null
  return agreed.length === context.request.headers.get('content-length') ? recogniseKey(context, key) : null
}

/** The node that a key names, where this isolate remembers all that decides about it; null: `authenticate`. */
export function recogniseKey(context: Sight, key: string): AuthenticatedNode | null {
  const { environmentReference, keys, receivedAtMs, snapshots } = context
  const identity = environmentReference === null ? knownKey(keys, key)?.identity : undefined
  if (identity === undefined) return null
  const head = snapshots.known.head(identity.environmentId, receivedAtMs)
  if (head === null || identity.issuedAtS < head.minimumIssuedAtS) return null
  const isRevoked =
    head.revokedPart !== null && (snapshots.known.nodeSet(head.revokedPart)?.has(identity.ordinal) ?? true)
  return isRevoked ? null : { identity, head }
}

/** The identity in the header, if a valid key is there. No I/O: for deciding before the body is read. */
export async function headerIdentity(context: AgentContext): Promise<NodeIdentity | null> {
  const key = headerKeyOf(context.request)
  if (key === null) return null
  const identity = await readNodeKey(context.keys, key)
  return identity.ok ? identity.value : null
}

/** Decides who asks, from both places, and whether that node may still ask. */
export async function authenticate(
  context: AgentContext,
  bodyKey: string,
): Promise<Result<AuthenticatedNode, AgentOutcome>> {
  const headerKey = headerKeyOf(context.request) ?? ''
  const known = headerKey === '' ? recogniseKey(context, bodyKey) : null
  if (known !== null) return ok(known)
  const identity = await identify(context, headerKey, bodyKey)
  return identity.ok ? admit(context, identity.value) : identity
}

async function identify(
  context: AgentContext,
  headerKey: string,
  bodyKey: string,
): Promise<Result<NodeIdentity, AgentOutcome>> {
  if (headerKey === '' && bodyKey === '') return fail(nodeInvalid({ kind: 'no-key' }))
  let verdict: AgentOutcome = nodeInvalid({ kind: 'foreign-key' })
  for (const key of [headerKey, bodyKey]) {
    if (key === '') continue
    const identity = await readNodeKey(context.keys, key)
    if (identity.ok) {
      if (key === headerKey && bodyKey !== '' && bodyKey !== headerKey)
        await countDisagreement(context, identity.value, bodyKey)
      else if (key === headerKey) noteAgreement(context, headerKey)
      return identity
    }
    // Not knowing outweighs knowing (design R3): one key that a newer Worker may have made means "come back".
    if (identity.reason === 'unknown-format') verdict = retry({ kind: 'unknown-key-format' })
    else if (identity.reason === 'bad-mac' && verdict.kind !== 'retry')
      verdict = nodeInvalid({ kind: 'bad-mac' })
  }
  return fail(verdict)
}

function noteAgreement({ keys, receivedAtMs, request }: AgentContext, headerKey: string): void {
  const known = knownKey(keys, headerKey)
  const length = request.headers.get('content-length')
  if (known !== undefined && length !== null) known.agreed = { atMs: receivedAtMs, length }
}

async function countDisagreement(context: AgentContext, node: NodeIdentity, bodyKey: string): Promise<void> {
  if ((await readNodeKey(context.keys, bodyKey)).ok) context.presence.count(node, 'two-valid-keys')
}

/** Checks a verified identity against the environment's snapshot and against the environment that the URL names. */
export async function admit(
  context: Admission,
  identity: NodeIdentity,
): Promise<Result<AuthenticatedNode, AgentOutcome>> {
  const { environmentId, ordinal } = identity
  const elsewhere = await namesAnotherEnvironment(context, environmentId)
  if (elsewhere !== null) return fail(elsewhere)
  const head = await context.snapshots.head(environmentId, context)
  if (identity.issuedAtS < head.minimumIssuedAtS) return fail(nodeInvalid({ kind: 'issued-too-early' }))
  if (head.revokedPart !== null) {
    const revoked = await context.snapshots.nodeSet(environmentId, head.revokedPart, context)
    if (revoked.has(ordinal)) return fail(nodeInvalid({ kind: 'revoked', ordinal }))
  }
  return ok({ identity, head })
}

/** A node whose URL names another environment was moved there: it must enroll with that environment's secret. */
async function namesAnotherEnvironment(
  context: Admission,
  environmentId: string,
): Promise<AgentOutcome | null> {
  const reference = context.environmentReference
  if (reference === null || reference === environmentId) return null
  const named = await environmentNamed(context, reference)
  if (named === environmentId) return null
  return named === null ? retry({ kind: 'unknown-environment' }) : nodeInvalid({ kind: 'other-environment' })
}

/** The id of the environment that a URL segment names; null where there is none, also after a fresh look. */
export async function environmentNamed(context: Admission, reference: string): Promise<string | null> {
  const known = environmentIdOf(await context.snapshots.directory(context), reference)
  if (known !== undefined) return known
  return environmentIdOf(await context.snapshots.directoryAfterMiss(context), reference) ?? null
}
