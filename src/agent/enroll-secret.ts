/** Which secret an enrolling agent brought. Nothing but the directory in memory is asked, so a wrong one costs no storage. */

import { hexOf, sha256, utf8, type Bytes } from '../lib/bytes.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import type { Directory, DirectoryEnvironment, DirectorySecret } from '../snapshot/head.ts'
import { ANSWER_WITHIN_MS, MAX_SECRETS_LOOKED_UP } from './constants.ts'
import type { AgentContext } from './context.ts'
import { Holds } from './holds.ts'

/** A secret that is in the directory, and what it leads to. */
export interface KnownSecret {
  secret: DirectorySecret
  environment: DirectoryEnvironment
}

/**
 * Why a text lets nobody in: it is no secret; it was one; or too many others wait to hear that. There is no limit by
 * address, so none locks a site out: who has a secret that is known here is through before anything is limited.
 */
export type NoSecret =
  | { kind: 'unknown' }
  | { kind: 'revoked'; secret: DirectorySecret }
  | { kind: 'overloaded' }

const waiting = new Holds(MAX_SECRETS_LOOKED_UP)

/**
 * Looks a text up. An empty one is none, whatever is stored. A miss looks once more into a fresh directory, at most once a
 * second and isolate, before it is believed.
 */
export async function findSecret(
  context: AgentContext,
  text: string,
): Promise<Result<KnownSecret, NoSecret>> {
  if (text === '') return fail({ kind: 'unknown' })
  const hash = hexOf(await sha256(utf8(text)))
  const directory = await context.snapshots.directory(context)
  const known = secretOf(directory, hash)
  if (known !== null) return ok(known)
  const revoked = matching(directory.revokedSecrets ?? [], hash)
  if (revoked !== null) return fail({ kind: 'revoked', secret: revoked })
  const giveBack = waiting.take(context.receivedAtMs + ANSWER_WITHIN_MS, Date.now())
  if (giveBack === null) return fail({ kind: 'overloaded' })
  try {
    const fresh = secretOf(await context.snapshots.directoryAfterMiss(context), hash)
    return fresh === null ? fail({ kind: 'unknown' }) : ok(fresh)
  } finally {
    giveBack()
  }
}

function secretOf(directory: Directory, hash: string): KnownSecret | null {
  const secret = matching(directory.secrets, hash)
  if (secret === null) return null
  const { environmentId: id } = secret
  return { secret, environment: directory.environments.find((one) => one.id === id) ?? { id, name: '' } }
}

/** The hashes of each list as bytes, made once for each directory that an isolate gets. */
const hashesOf = new WeakMap<readonly DirectorySecret[], Bytes[]>()

/** Walks through all secrets with a constant-time compare, so that timing tells nothing about any of them. */
function matching(secrets: readonly DirectorySecret[], hash: string): DirectorySecret | null {
  let hashes = hashesOf.get(secrets)
  if (hashes === undefined) {
    hashes = secrets.map((secret) => utf8(secret.hash))
    hashesOf.set(secrets, hashes)
  }
  const wanted = utf8(hash)
  let found = -1
  for (const [index, known] of hashes.entries()) {
    if (known.length === wanted.length && crypto.subtle.timingSafeEqual(known, wanted)) found = index
  }
  return secrets[found] ?? null
}
