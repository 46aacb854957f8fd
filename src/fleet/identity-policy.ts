/** What tells one machine from another in an environment: which facts, in which order, and which of them are none. Pure. */

/** Facts that can name a machine, in the order that counts unless an environment says otherwise (design 4, Enroll). */
export const IDENTITY_KINDS = ['uuid', 'serial', 'instance', 'host'] as const
export type IdentityKind = (typeof IDENTITY_KINDS)[number]

export interface IdentityPolicy {
  /** All kinds, each once: the first that a host tells names it. */
  order: readonly IdentityKind[]
  /** Beside those that every environment has; lower case. */
  placeholderUuids: readonly string[]
  placeholderSerials: readonly string[]
}

/** A policy as D1 and the directory carry it: only what differs from the default, so that `{}` is the default. */
export type StoredIdentityPolicy = Partial<IdentityPolicy>

/** Enough for a fleet's own bad batches; the directory is read by every isolate. */
export const MAX_PLACEHOLDERS = 200
export const MAX_PLACEHOLDER_CHARACTERS = 128

/** UUIDs that firmware vendors leave in place: osquery itself refuses these since 3.2.5 (spec 2.1.1). */
export const BUILT_IN_UUIDS: readonly string[] = [
  '00000000-0000-0000-0000-000000000000',
  'ffffffff-ffff-ffff-ffff-ffffffffffff',
  '03000200-0400-0500-0006-000700080009',
  '03020100-0504-0706-0809-0a0b0c0d0e0f',
  '10000000-0000-8000-0040-000000000000',
]

/** Serials that firmware vendors leave in place, lower case. */
export const BUILT_IN_SERIALS: readonly string[] = [
  '',
  '-1',
  '0',
  'none',
  'n/a',
  'default string',
  'not specified',
  'not applicable',
  'system serial number',
  'to be filled by o.e.m.',
]

export const DEFAULT_POLICY: IdentityPolicy = policyOf({})

/**
 * A whole policy. Kinds that the order leaves out follow in the usual one, because a host that tells nothing else has to
 * be some node; kinds that this Worker does not know (a newer one wrote them) are passed over.
 */
export function policyOf(stored: StoredIdentityPolicy): IdentityPolicy {
  const named = (stored.order ?? []).filter((kind) => IDENTITY_KINDS.includes(kind))
  return {
    order: [...new Set([...named, ...IDENTITY_KINDS])],
    placeholderUuids: stored.placeholderUuids ?? [],
    placeholderSerials: stored.placeholderSerials ?? [],
  }
}

/** What is stored of a policy: see StoredIdentityPolicy. */
export function storedPolicyOf({ order, placeholderUuids, placeholderSerials }: IdentityPolicy) {
  const isUsual = order.every((kind, index) => kind === IDENTITY_KINDS[index])
  return {
    ...(isUsual ? {} : { order }),
    ...(placeholderUuids.length === 0 ? {} : { placeholderUuids }),
    ...(placeholderSerials.length === 0 ? {} : { placeholderSerials }),
  } satisfies StoredIdentityPolicy
}

/** What a host tells about which machine it is. UUIDs are lower case; a text may be empty. */
export interface IdentityFacts {
  hardwareUuid: string
  hardwareSerial: string
  instanceId: string
  hostIdentifier: string
}

/** The identity of a host, and those that it had or will have under other policies. */
export function identitiesOf(
  facts: IdentityFacts,
  policy: IdentityPolicy,
): { identity: string; otherIdentities: string[] } {
  const [identity = `host:${facts.hostIdentifier}`] = allOf(facts, policy)
  const plain = { ...policy, placeholderUuids: [], placeholderSerials: [] }
  return { identity, otherIdentities: allOf(facts, plain).filter((other) => other !== identity) }
}

function allOf(facts: IdentityFacts, policy: IdentityPolicy): string[] {
  return policy.order.flatMap((kind) => {
    const value = valueOf(kind, facts, policy)
    return value === '' ? [] : [`${kind}:${value}`]
  })
}

function valueOf(kind: IdentityKind, facts: IdentityFacts, policy: IdentityPolicy): string {
  const { hardwareUuid: uuid, hardwareSerial: serial } = facts
  switch (kind) {
    case 'uuid':
      return BUILT_IN_UUIDS.includes(uuid) || policy.placeholderUuids.includes(uuid) ? '' : uuid
    case 'serial': {
      const compared = serial.toLowerCase()
      const isNone = BUILT_IN_SERIALS.includes(compared) || policy.placeholderSerials.includes(compared)
      return isNone ? '' : serial
    }
    case 'instance':
      return facts.instanceId
    case 'host':
      return facts.hostIdentifier
  }
}
