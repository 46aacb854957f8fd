/** Changes of enroll secrets: each audited, each told to the directory. A secret's text is shown once, when it is made. */

import { isUniqueViolation } from '../db/control.ts'
import {
  changeEnrollSecret,
  countKnownSecrets,
  deleteEnrollSecret,
  findEnrollSecret,
  insertEnrollSecret,
  insertSuccessor,
  quotaGroupOf,
  revokeEnrollSecret,
  successorOf,
  type EnrollSecretRow,
} from '../db/enroll-secrets.ts'
import { randomText, sha256HexOfText } from '../lib/bytes.ts'
import { rfc3339 } from '../lib/time.ts'
import { environmentChangeNote } from './change-note.ts'
import type { OperatorContext } from './context.ts'
import {
  changesOf,
  notedRules,
  rulesOf,
  type RotateBody,
  type SecretBody,
  type SecretPatch,
} from './enroll-secret-bodies.ts'
import { shownSecret } from './enroll-secret-view.ts'
import { conflict, notFound } from './problem.ts'
import { deleted, publishDirectory } from './publish.ts'

const GENERATED_BYTES = 32
/** Secrets of one environment that are in the directory, which every isolate holds. */
const MAX_SECRETS = 500

export async function createSecret(c: OperatorContext, body: SecretBody): Promise<Response> {
  const { text, hash } = await originOf(body)
  const serials = body.serials ?? []
  const row: EnrollSecretRow = {
    ...newRow(c, body.name, hash),
    note: body.note,
    rules: JSON.stringify(rulesOf(body)),
    expiresAtMs: body.expiresAt ?? null,
    serialCount: serials.length,
  }
  const note = environmentChangeNote(c, 'enroll-secret.create', row.id, {
    name: row.name,
    ...notedRules(body),
  })
  return made(c, row, text, () => insertEnrollSecret(c.var.db, note, row, serials))
}

export async function patchSecret(c: OperatorContext, id: string, patch: SecretPatch): Promise<Response> {
  const { db, environment } = c.var
  const row = await findEnrollSecret(db, environment.id, id)
  if (row === null) return notFound('enroll secret')
  const { name, note: text } = patch
  const said = { ...(name === undefined ? {} : { name }), ...(text === undefined ? {} : { note: text }) }
  const note = environmentChangeNote(c, 'enroll-secret.change', id, { ...said, ...notedRules(patch) })
  const revision = await changeEnrollSecret(db, note, row, changesOf(patch))
  return changed(c, id, revision)
}

/** A successor with the same rules and a share in the same quota; the old one goes on for the overlap. */
export async function rotateSecret(c: OperatorContext, id: string, body: RotateBody): Promise<Response> {
  const { db, environment, nowMs } = c.var
  const row = await findEnrollSecret(db, environment.id, id)
  if (row === null) return notFound('enroll secret')
  const why = await whyNotRotated(c, row)
  if (why !== null) return conflict('', why)
  const { text, hash } = await originOf(body)
  const successor: EnrollSecretRow = {
    ...newRow(c, body.name ?? row.name, hash),
    note: row.note,
    rules: row.rules,
    expiresAtMs: row.expiresAtMs,
    serialCount: row.serialCount,
    predecessorId: row.id,
    quotaGroup: quotaGroupOf(row),
  }
  const endsAtMs = nowMs + body.overlapSeconds * 1_000
  const note = environmentChangeNote(c, 'enroll-secret.rotate', id, {
    successor: successor.id,
    overlapSeconds: body.overlapSeconds,
    endsAt: rfc3339(Math.min(endsAtMs, row.expiresAtMs ?? endsAtMs)),
  })
  return made(c, successor, text, () => insertSuccessor(db, note, row, successor, endsAtMs))
}

async function whyNotRotated(c: OperatorContext, row: EnrollSecretRow): Promise<string | null> {
  if (row.revokedAtMs !== null) return 'it is revoked: make a new one'
  if (row.expiresAtMs !== null && row.expiresAtMs <= c.var.nowMs) return 'it has expired: make a new one'
  const successor = await successorOf(c.var.db, row)
  return successor === null ? null : `it was rotated already: rotate its successor ${successor.id}`
}

export async function revokeSecret(c: OperatorContext, id: string): Promise<Response> {
  const { db, environment } = c.var
  const row = await findEnrollSecret(db, environment.id, id)
  if (row === null) return notFound('enroll secret')
  const note = environmentChangeNote(c, 'enroll-secret.revoke', id, { name: row.name })
  return changed(c, id, await revokeEnrollSecret(db, note, row))
}

export async function removeSecret(c: OperatorContext, id: string): Promise<Response> {
  const note = environmentChangeNote(c, 'enroll-secret.delete', id)
  const revision = await deleteEnrollSecret(c.var.db, note, c.var.environment.id, id)
  if (revision === null) return notFound('enroll secret')
  return deleted(revision, await publishDirectory(c.env, revision))
}

/** The text that was given, or one that is made; null where only its hash is known. */
async function originOf({
  secret,
  secretSha256,
}: Pick<SecretBody, 'secret' | 'secretSha256'>): Promise<{ text: string | null; hash: string }> {
  if (typeof secretSha256 === 'string') return { text: null, hash: secretSha256 }
  const text = secret ?? randomText(GENERATED_BYTES)
  return { text, hash: await sha256HexOfText(text) }
}

function newRow(c: OperatorContext, name: string, secretHash: string): EnrollSecretRow {
  return {
    id: crypto.randomUUID(),
    environmentId: c.var.environment.id,
    name,
    note: '',
    secretHash,
    rules: '{}',
    expiresAtMs: null,
    revokedAtMs: null,
    serialCount: 0,
    predecessorId: null,
    quotaGroup: null,
    enrollCount: 0,
    refusedCount: 0,
    lastUsedAtMs: null,
    lastRefusedAtMs: null,
    createdAtMs: c.var.nowMs,
  }
}

async function made(
  c: OperatorContext,
  row: EnrollSecretRow,
  secret: string | null,
  insert: () => Promise<number>,
): Promise<Response> {
  const { db, environment, nowMs } = c.var
  if ((await countKnownSecrets(db, environment.id, nowMs)) >= MAX_SECRETS)
    return conflict(
      '',
      `the environment has ${MAX_SECRETS} secrets that work or ended lately: revoke or delete some`,
    )
  try {
    const revision = await insert()
    const live = await publishDirectory(c.env, revision)
    return c.json({ ...(await shownSecret(c, row)), secret, revision, live }, 201)
  } catch (error) {
    if (isUniqueViolation(error, 'enroll_secrets.secret_hash')) {
      return conflict(
        secret === null ? '/secretSha256' : '/secret',
        'exists already: one text names one environment',
      )
    }
    throw error
  }
}

async function changed(c: OperatorContext, id: string, revision: number): Promise<Response> {
  const live = await publishDirectory(c.env, revision)
  const row = await findEnrollSecret(c.var.db, c.var.environment.id, id)
  return row === null ? notFound('enroll secret') : c.json({ ...(await shownSecret(c, row)), revision, live })
}
