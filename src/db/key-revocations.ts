/** Revocations of node keys, and how many nodes they mean. */

import { and, count, eq, isNull, lt, or, sql, type SQL } from 'drizzle-orm'
import { commitChange, type ChangeNote, type ControlDb, type Statement } from './control.ts'
import { enrollSecrets, environments, keyRevocations } from './schema-control.ts'
import { nodes } from './schema-nodes.ts'

export type KeyRevocationRow = typeof keyRevocations.$inferSelect
/** For so long after a revocation reached all nodes it may be taken back. */
export const TAKEN_BACK_WITHIN_S = 7 * 86_400
type Scope = Pick<KeyRevocationRow, 'environmentId' | 'keyId'>

/** Newest first. There are few: those that are over and that a later one covers are dropped. */
export function listKeyRevocations(db: ControlDb, environmentId: string | null): Promise<KeyRevocationRow[]> {
  return db
    .select()
    .from(keyRevocations)
    .where(inScope(environmentId))
    .orderBy(sql`created_at DESC, id DESC`)
}

function inScope(environmentId: string | null): SQL | undefined {
  return environmentId === null
    ? isNull(keyRevocations.environmentId)
    : eq(keyRevocations.environmentId, environmentId)
}

/** Whose newest key was issued before a second; of one signing key: those of which it is not known count too. */
export function holders(issuedBeforeS: number, keyId?: number): SQL | undefined {
  return and(
    isNull(nodes.deletedAtMs),
    isNull(nodes.blockedAtMs),
    lt(nodes.enrolledAtMs, issuedBeforeS * 1_000),
    keyId === undefined ? undefined : or(eq(nodes.signingKeyId, keyId), isNull(nodes.signingKeyId)),
  )
}

/** How many nodes of an environment that is; null: of all. */
export async function countHolders(
  db: ControlDb,
  environmentId: string | null,
  wanted: SQL | undefined,
): Promise<number> {
  const here = environmentId === null ? undefined : eq(nodes.environmentId, environmentId)
  const [row] = await db.select({ nodes: count() }).from(nodes).where(and(here, wanted))
  return row?.nodes ?? 0
}

/** Nodes by the signing key of their newest node key; null: they enrolled before that was noted. */
export function countBySigningKey(
  db: ControlDb,
  environmentId: string | null,
): Promise<{ keyId: number | null; nodes: number }[]> {
  const here = environmentId === null ? undefined : eq(nodes.environmentId, environmentId)
  return db
    .select({ keyId: nodes.signingKeyId, nodes: count() })
    .from(nodes)
    .where(and(here, isNull(nodes.deletedAtMs), isNull(nodes.blockedAtMs)))
    .groupBy(nodes.signingKeyId)
}

/** The same nodes by environment and by the secret of their newest enroll; null: that is not known. */
export function countHoldersBySecret(
  db: ControlDb,
  environmentId: string | null,
  wanted: SQL | undefined,
): Promise<{ environmentId: string; secretId: string | null; nodes: number }[]> {
  const here = environmentId === null ? undefined : eq(nodes.environmentId, environmentId)
  return db
    .select({
      environmentId: nodes.environmentId,
      secretId: sql<string | null>`enroll_secret_id`,
      nodes: count(),
    })
    .from(nodes)
    .where(and(here, wanted))
    .groupBy(nodes.environmentId, sql`enroll_secret_id`)
}

/** The secrets that let nodes in now, of one environment or of all. */
export function activeSecrets(
  db: ControlDb,
  environmentId: string | null,
  nowMs: number,
): Promise<{ id: string; environmentId: string }[]> {
  return db
    .select({ id: enrollSecrets.id, environmentId: enrollSecrets.environmentId })
    .from(enrollSecrets)
    .where(
      and(
        environmentId === null ? undefined : eq(enrollSecrets.environmentId, environmentId),
        sql`revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ${nowMs})`,
      ),
    )
}

/** Stores a revocation. Returns the revision: of its environment, or of the deployment with all environments'. */
export async function insertKeyRevocation(
  db: ControlDb,
  note: ChangeNote,
  row: KeyRevocationRow,
  nowS: number,
): Promise<number> {
  return change(db, note, row, [
    db.delete(keyRevocations).where(and(inScope(row.environmentId), coveredByAnother(nowS))),
    db.insert(keyRevocations).values(row),
  ])
}

/** What nobody can take back any more, and another one that nobody can take back says too. */
function coveredByAnother(nowS: number): SQL {
  const settledBeforeS = nowS - TAKEN_BACK_WITHIN_S
  return sql`from_s + over_s <= ${settledBeforeS} AND EXISTS (SELECT 1 FROM key_revocations AS k
    WHERE k.environment_id IS key_revocations.environment_id AND k.key_id IS key_revocations.key_id
      AND k.from_s + k.over_s <= ${settledBeforeS}
      AND (k.issued_before_s, k.id) > (key_revocations.issued_before_s, key_revocations.id))`
}

/** Takes a revocation back: keys that nobody has replaced yet count again. */
export function deleteKeyRevocation(db: ControlDb, note: ChangeNote, row: KeyRevocationRow): Promise<number> {
  return change(db, note, row, [db.delete(keyRevocations).where(eq(keyRevocations.id, row.id))])
}

async function change(
  db: ControlDb,
  note: ChangeNote,
  { environmentId }: Scope,
  statements: readonly Statement[],
): Promise<number> {
  if (environmentId !== null) return (await commitChange(db, note, 'environment', statements)).revision
  const every = db.update(environments).set({ revision: sql`revision + 1` })
  return (await commitChange(db, note, 'deployment', [...statements, every])).revision
}

/** Revisions of all environments, by id: what is to be published after a change of all of them. */
export function environmentRevisions(db: ControlDb): Promise<{ id: string; revision: number }[]> {
  return db.select({ id: environments.id, revision: environments.revision }).from(environments)
}
