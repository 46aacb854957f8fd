/**
 * Enroll secrets: only their SHA-256 is kept, and one text exists once in the deployment. Serials and the count of
 * nodes lie with the node tables, where enroll's statement reads them; they are never joined with this one.
 */

import { and, eq, gt, isNull, or, sql } from 'drizzle-orm'
import type { SecretRules } from '../fleet/enroll-rules.ts'
import { ENDED_KNOWN_FOR_S } from './directory-rows.ts'
import { commitChange, type ChangeNote, type ControlDb, type Statement } from './control.ts'
import { afterRow, newestFirst, type NewestFirstKey } from './newest-first.ts'
import { enrollSecrets } from './schema-control.ts'
import { enrollAdmissions, enrollSerials } from './schema-nodes.ts'

export type EnrollSecretRow = typeof enrollSecrets.$inferSelect
export type NewEnrollSecret = typeof enrollSecrets.$inferInsert

/** What a change may say; absent: as it is. */
export interface EnrollSecretChanges {
  name?: string
  note?: string
  expiresAtMs?: number | null
  /** Null: for any. */
  serials?: readonly string[] | null
  /** Members of the rules; null takes one away. */
  rules: { [Rule in keyof SecretRules]?: SecretRules[Rule] | null }
}

/** Newest first; `after` is the sort key of the last row of the page before. */
export function listEnrollSecrets(
  db: ControlDb,
  environmentId: string,
  after: NewestFirstKey,
  limit: number,
): Promise<EnrollSecretRow[]> {
  const { createdAtMs, id } = enrollSecrets
  return db
    .select()
    .from(enrollSecrets)
    .where(and(eq(enrollSecrets.environmentId, environmentId), afterRow(createdAtMs, id, after)))
    .orderBy(...newestFirst(createdAtMs, id))
    .limit(limit)
}

export async function findEnrollSecret(
  db: ControlDb,
  environmentId: string,
  id: string,
): Promise<EnrollSecretRow | null> {
  const [row] = await db.select().from(enrollSecrets).where(here(environmentId, id)).limit(1)
  return row ?? null
}

/** The serials that a secret is for, sorted. */
export async function serialsOf(db: ControlDb, id: string): Promise<string[]> {
  const rows = await db
    .select({ serial: enrollSerials.serial })
    .from(enrollSerials)
    .where(eq(enrollSerials.secretId, id))
    .orderBy(enrollSerials.serial)
  return rows.map(({ serial }) => serial)
}

/** How many nodes use each quota, by its group. */
export async function nodesByQuota(db: ControlDb, groups: readonly string[]): Promise<Map<string, number>> {
  const rows = await db
    .select()
    .from(enrollAdmissions)
    .where(sql`${enrollAdmissions.quotaGroup} IN (SELECT value FROM json_each(${JSON.stringify(groups)}))`)
  return new Map(rows.map(({ quotaGroup, nodes }) => [quotaGroup, nodes]))
}

/** Whose quota a secret's nodes use. */
export function quotaGroupOf({ id, quotaGroup }: Pick<EnrollSecretRow, 'id' | 'quotaGroup'>): string {
  return quotaGroup ?? id
}

/** How many secrets of an environment the directory holds. */
export function countKnownSecrets(db: ControlDb, environmentId: string, nowMs: number): Promise<number> {
  const { expiresAtMs, revokedAtMs } = enrollSecrets
  const isKnown = or(isNull(expiresAtMs), gt(expiresAtMs, nowMs - ENDED_KNOWN_FOR_S * 1_000))
  return db.$count(
    enrollSecrets,
    and(eq(enrollSecrets.environmentId, environmentId), isNull(revokedAtMs), isKnown),
  )
}

/** Throws where the text is taken (enroll_secrets.secret_hash). Returns the directory's revision. */
export async function insertEnrollSecret(
  db: ControlDb,
  note: ChangeNote,
  row: NewEnrollSecret,
  serials: readonly string[],
): Promise<number> {
  return committed(db, note, [db.insert(enrollSecrets).values(row), ...serialStatements(db, row.id, serials)])
}

/** Returns the directory's revision. */
export async function changeEnrollSecret(
  db: ControlDb,
  note: ChangeNote,
  { environmentId, id }: EnrollSecretRow,
  { name, note: text, expiresAtMs, serials, rules }: EnrollSecretChanges,
): Promise<number> {
  const change = db
    .update(enrollSecrets)
    .set({
      // By member, so that of two changes at once neither undoes the other's.
      rules: sql`json_patch(${enrollSecrets.rules}, ${JSON.stringify(rules)})`,
      ...(name === undefined ? {} : { name }),
      ...(text === undefined ? {} : { note: text }),
      ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
      ...(serials === undefined ? {} : { serialCount: serials?.length ?? 0 }),
    })
    .where(here(environmentId, id))
  const lists = serials === undefined ? [] : serialStatements(db, id, serials ?? [])
  return committed(db, note, [change, ...lists])
}

/** Makes a successor with the serials of its predecessor, which ends at `endsAtMs`, or before. Returns the revision. */
export async function insertSuccessor(
  db: ControlDb,
  note: ChangeNote,
  predecessor: EnrollSecretRow,
  successor: NewEnrollSecret,
  endsAtMs: number,
): Promise<number> {
  return committed(db, note, [
    db.insert(enrollSecrets).values(successor),
    db
      .insert(enrollSerials)
      .select(sql`SELECT ${successor.id}, serial FROM ${enrollSerials} WHERE secret_id = ${predecessor.id}`),
    db
      .update(enrollSecrets)
      .set({ expiresAtMs: sql`MIN(COALESCE(${enrollSecrets.expiresAtMs}, ${endsAtMs}), ${endsAtMs})` })
      .where(here(predecessor.environmentId, predecessor.id)),
  ])
}

/** The secret that follows this one, unless it was revoked; null: none. */
export async function successorOf(
  db: ControlDb,
  { environmentId, id }: EnrollSecretRow,
): Promise<{ id: string } | null> {
  const [row] = await db
    .select({ id: enrollSecrets.id })
    .from(enrollSecrets)
    .where(
      and(
        eq(enrollSecrets.environmentId, environmentId),
        eq(enrollSecrets.predecessorId, id),
        isNull(enrollSecrets.revokedAtMs),
      ),
    )
    .limit(1)
  return row ?? null
}

/** It lets nobody in from now on, and stays in the list. The first time counts. Returns the directory's revision. */
export function revokeEnrollSecret(
  db: ControlDb,
  note: ChangeNote,
  { environmentId, id }: EnrollSecretRow,
): Promise<number> {
  const revoke = db
    .update(enrollSecrets)
    .set({ revokedAtMs: sql`COALESCE(${enrollSecrets.revokedAtMs}, ${note.atMs})` })
    .where(here(environmentId, id))
  return committed(db, note, [revoke])
}

/** Returns the directory's revision, or null where this environment has no such secret. */
export async function deleteEnrollSecret(
  db: ControlDb,
  note: ChangeNote,
  environmentId: string,
  id: string,
): Promise<number | null> {
  if ((await findEnrollSecret(db, environmentId, id)) === null) return null
  return committed(db, note, [
    db.delete(enrollSecrets).where(here(environmentId, id)),
    db.delete(enrollSerials).where(eq(enrollSerials.secretId, id)),
  ])
}

function here(environmentId: string, id: string) {
  return and(eq(enrollSecrets.environmentId, environmentId), eq(enrollSecrets.id, id))
}

async function committed(db: ControlDb, note: ChangeNote, statements: Statement[]): Promise<number> {
  return (await commitChange(db, note, 'deployment', statements)).revision
}

/** Makes a secret's serials exactly these: one text, because thousands of rows are more than D1's 100 parameters. */
function serialStatements(db: ControlDb, id: string, serials: readonly string[]): Statement[] {
  return [
    db.delete(enrollSerials).where(eq(enrollSerials.secretId, id)),
    db.insert(enrollSerials).select(sql`SELECT ${id}, value FROM json_each(${JSON.stringify(serials)})`),
  ]
}
