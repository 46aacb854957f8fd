/**
 * Who is asking. Identity comes from the node key alone (design R8), from the Authorization header (5.23.0 on) or
 * the body; a valid key in either place authenticates, and the header wins (R9).
 */

import { isKeyRevoked } from '../fleet/key-revocation.ts'
import { isSuperseded } from '../fleet/superseded.ts'
import { environmentIdOf, isEnrollPaused, type EnvironmentHead } from '../snapshot/head.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import { SnapshotUnavailable } from '../snapshot/source.ts'
import type { AgentContext } from './context.ts'
import { keyIdOf } from './credential.ts'
import { knownKey, readNodeKey, type NodeIdentity, type VerifiedNodeIdentity } from './node-key.ts'
import { nodeInvalid, retry, type AgentOutcome } from './outcome.ts'
import type { SigningKeys } from './signing-keys.ts'

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
  identity: Readonly<VerifiedNodeIdentity>
  head: EnvironmentHead
  /** It waits for approval: it gets nothing of the environment's, and nothing of its gets in. */
  isPending: boolean
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
  if (head === null || isIssuedTooEarly(identity, head, receivedAtMs)) return null
  const isRevoked =
    head.revokedPart !== null && (snapshots.known.nodeSet(head.revokedPart)?.has(identity.ordinal) ?? true)
  if (isRevoked) return null
  if (typeof head.supersededPart === 'string') {
    const superseded = snapshots.known.part(head.supersededPart)
    if (superseded === undefined || isSuperseded(superseded, identity.ordinal, identity.issuedAtS))
      return null
  }
  if (identity.awaitsApproval !== true) return { identity, head, isPending: false }
  if (!knowsApprovals(head)) return null
  if (head.approvedPart === undefined) return { identity, head, isPending: true }
  const approved = snapshots.known.nodeSet(head.approvedPart)
  return approved === undefined ? null : { identity, head, isPending: !approved.has(identity.ordinal) }
}

function isIssuedTooEarly(identity: VerifiedNodeIdentity, head: EnvironmentHead, nowMs: number): boolean {
  return (
    identity.issuedAtS < head.minimumIssuedAtS ||
    isKeyRevoked(head.revocations, identity, Math.floor(nowMs / 1_000))
  )
}

/** The identity in the header, if a valid key is there. No I/O: for deciding before the body is read. */
export async function headerIdentity(context: AgentContext): Promise<VerifiedNodeIdentity | null> {
  const key = headerKeyOf(context.request)
  if (key === null) return null
  const identity = await readNodeKey(context.keys, key)
  return identity.ok ? identity.value : null
}

/**
 * What a superseded key is worth (fleet/superseded.ts). What a machine was asked while it was taken for its clone it still
 * brings: a refused answer would come again under another node, where nobody knows it (spec 5.4).
 */
export type SupersededKeys = 'refused' | 'taken'

/** Decides who asks, from both places, and whether that node may still ask. */
export async function authenticate(
  context: AgentContext,
  bodyKey: string,
  superseded: SupersededKeys = 'refused',
): Promise<Result<AuthenticatedNode, AgentOutcome>> {
  const headerKey = headerKeyOf(context.request) ?? ''
  const known = headerKey === '' ? recogniseKey(context, bodyKey) : null
  if (known !== null) return ok(known)
  const identity = await identify(context, headerKey, bodyKey)
  return identity.ok ? admit(context, identity.value, superseded) : identity
}

async function identify(
  context: AgentContext,
  headerKey: string,
  bodyKey: string,
): Promise<Result<VerifiedNodeIdentity, AgentOutcome>> {
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
    if (identity.reason === 'unknown-format' && !(await isOfRetiredKey(context, key)))
      verdict = retry({ kind: 'unknown-key-format' })
    else if (identity.reason === 'bad-mac' && verdict.kind !== 'retry')
      verdict = nodeInvalid({ kind: 'bad-mac' })
  }
  return fail(verdict)
}

/**
 * Whether a credential is under a signing key that is not known here because operators took it out on purpose, after they
 * had revoked what is under it: then it is known to be void (R3). Asked of unknown ones alone.
 */
export async function isOfRetiredKey(
  context: Admission & { keys: SigningKeys },
  text: string,
): Promise<boolean> {
  const keyId = keyIdOf(text)
  if (keyId === null || context.keys.has(keyId)) return false
  const { retiredKeyIds } = await context.snapshots.directory(context)
  return retiredKeyIds !== undefined && retiredKeyIds.includes(keyId)
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
  identity: VerifiedNodeIdentity,
  superseded: SupersededKeys = 'refused',
): Promise<Result<AuthenticatedNode, AgentOutcome>> {
  const { environmentId, ordinal } = identity
  const elsewhere = await namesAnotherEnvironment(context, environmentId)
  if (elsewhere !== null) return fail(elsewhere)
  const head = await context.snapshots.head(environmentId, context)
  if (isIssuedTooEarly(identity, head, Date.now())) return fail(nodeInvalid({ kind: 'issued-too-early' }))
  if (head.revokedPart !== null) {
    const revoked = await context.snapshots.nodeSet(environmentId, head.revokedPart, context)
    if (revoked.has(ordinal)) return fail(nodeInvalid({ kind: 'revoked', ordinal }))
  }
  if (superseded === 'refused' && (await isOfAnotherMachine(context, identity, head)))
    return fail(nodeInvalid({ kind: 'superseded', ordinal }))
  return ok({ identity, head, isPending: await isPending(context, identity, head) })
}

async function isOfAnotherMachine(
  context: Admission,
  { environmentId, ordinal, issuedAtS }: VerifiedNodeIdentity,
  { supersededPart }: EnvironmentHead,
): Promise<boolean> {
  if (typeof supersededPart !== 'string') return false
  try {
    const part = await context.snapshots.part(environmentId, supersededPart, context)
    return isSuperseded(part, ordinal, issuedAtS) && (await mayEnroll(context, environmentId))
  } catch (error) {
    // A Worker of before may have let the part go (gradual deploy). Then it is not known, and both machines go on (R3).
    if (!(error instanceof SnapshotUnavailable)) throw error
    return false
  }
}

/** During a brownout a machine that is told to enroll would be out until it ends: it goes on with what it has. */
async function mayEnroll(context: Admission, environmentId: string): Promise<boolean> {
  const { environments } = await context.snapshots.directory(context)
  const environment = environments.find(({ id }) => id === environmentId)
  return environment === undefined || !isEnrollPaused(environment, Date.now())
}

async function isPending(
  context: Admission,
  { awaitsApproval, environmentId, ordinal }: VerifiedNodeIdentity,
  head: EnvironmentHead,
): Promise<boolean> {
  if (awaitsApproval !== true) return false
  if (!knowsApprovals(head)) throw new SnapshotUnavailable('a head of before there was approval')
  const { approvedPart } = head
  if (approvedPart === undefined) return true
  return !(await context.snapshots.nodeSet(environmentId, approvedPart, context)).has(ordinal)
}

/**
 * Whether a head without approved nodes means that there are none. One that a Worker of before compiled (gradual deploy)
 * says nothing: its node may have been approved, and must not lose its schedule (R3).
 */
function knowsApprovals({ approvedPart, supersededPart }: EnvironmentHead): boolean {
  return approvedPart !== undefined || supersededPart !== undefined
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
