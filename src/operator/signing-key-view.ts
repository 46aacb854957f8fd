/** A signing key as operators see it: who depends on it, and what keeps it from being taken out of the secret. */

import { z } from '@hono/zod-openapi'
import { presentKeys } from '../agent/key-fingerprints.ts'
import { countBySigningKey, listKeyRevocations, type KeyRevocationRow } from '../db/key-revocations.ts'
import { countSealed, listSigningKeys, type PresentKey, type SigningKeyRow } from '../db/signing-keys.ts'
import { blockersOf, blockerText, type KeyFacts } from '../fleet/key-retirement.ts'
import { rfc3339OrNull } from '../lib/time.ts'
import type { OperatorContext } from './context.ts'
import { time } from './describe.ts'
import { revocationSchema, shownRevocation } from './key-revocation.ts'

const keySchema = z
  .object({
    id: z.string(),
    current: z.boolean().openapi({ description: 'New node keys are under it' }),
    inSecret: z.boolean().openapi({ description: 'The Worker that answers has it' }),
    fingerprint: z.string(),
    firstSeenAt: time.nullable(),
    currentSince: time.nullable(),
    replacedAt: time.nullable(),
    nodes: z.int().openapi({ description: 'Nodes whose newest node key is under it' }),
    sealed: z.int().openapi({ description: 'Secrets of sinks and webhooks that only it opens' }),
    revocation: revocationSchema.nullable(),
    retirable: z.boolean().openapi({ description: 'It may be taken out of the secret' }),
    blockers: z.array(z.object({ kind: z.string(), detail: z.string() })),
  })
  .openapi('SigningKey')
export const signingKeysSchema = z
  .object({
    current: z.string(),
    items: z.array(keySchema),
    unknownNodes: z
      .int()
      .openapi({ description: 'Nodes that enrolled before it was noted what signed their key' }),
  })
  .openapi('SigningKeys')

/** What is known of one key, from all sides. */
interface KnownKey {
  keyId: number
  present: PresentKey | undefined
  noted: SigningKeyRow | undefined
  nodes: number
  /** Nodes of which it is not known what signed their key: they may hold one of this. */
  unknownNodes: number
  sealed: number
  revocation: KeyRevocationRow | undefined
}

export async function shownKeys(c: OperatorContext): Promise<z.infer<typeof signingKeysSchema>> {
  const { db, nowMs } = c.var
  const present = await presentKeys(c.env.SIGNING_KEYS)
  const noted = await listSigningKeys(db)
  const counts = await countBySigningKey(db, null)
  const nodes = new Map(counts.map((row) => [row.keyId, row.nodes]))
  const sealed = await countSealed(c.env.DB)
  const revocations = await listKeyRevocations(db, null)
  const ids = [...new Set([...noted, ...present].map(({ keyId }) => keyId))].sort((a, b) => a - b)
  const unknownNodes = nodes.get(null) ?? 0
  const items = ids.map((keyId) =>
    shownKey(c, nowMs, {
      keyId,
      present: present.find((key) => key.keyId === keyId),
      noted: noted.find((key) => key.keyId === keyId),
      nodes: nodes.get(keyId) ?? 0,
      unknownNodes,
      sealed: sealed.get(keyId) ?? 0,
      revocation: revocations.find((row) => row.keyId === keyId),
    }),
  )
  const current = present.find(({ isCurrent }) => isCurrent)
  return { current: `k${current?.keyId ?? ''}`, items: await Promise.all(items), unknownNodes }
}

async function shownKey(
  c: OperatorContext,
  nowMs: number,
  known: KnownKey,
): Promise<z.infer<typeof keySchema>> {
  const { keyId, present, noted, nodes, sealed, revocation } = known
  const blockers = present === undefined ? [] : blockersOf(factsOf(known), nowMs)
  return {
    id: `k${keyId}`,
    current: present?.isCurrent ?? false,
    inSecret: present !== undefined,
    fingerprint: present?.fingerprint ?? noted?.fingerprint ?? '',
    firstSeenAt: rfc3339OrNull(noted?.firstSeenAtMs ?? null),
    currentSince: rfc3339OrNull(noted?.currentSinceMs ?? null),
    replacedAt: rfc3339OrNull(noted?.replacedAtMs ?? null),
    nodes,
    sealed,
    revocation: revocation === undefined ? null : await shownRevocation(c, revocation),
    retirable: present !== undefined && blockers.length === 0,
    blockers: blockers.map((blocker) => ({ kind: blocker.kind, detail: blockerText(blocker) })),
  }
}

function factsOf({ present, noted, nodes, unknownNodes, sealed, revocation }: KnownKey): KeyFacts {
  return {
    isCurrent: present?.isCurrent ?? false,
    quietSinceMs: noted?.replacedAtMs ?? noted?.firstSeenAtMs ?? null,
    nodes: nodes + unknownNodes,
    sealed,
    revokedFromMs: revocation === undefined ? null : (revocation.fromS + revocation.overS) * 1_000,
  }
}
