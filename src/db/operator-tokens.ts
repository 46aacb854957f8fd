/** Operator tokens: only their SHA-256 is kept. */

import { and, eq, inArray, sql } from 'drizzle-orm'
import { commitChange, type ChangeNote, type ControlDb } from './control.ts'
import { afterRow, newestFirst, type NewestFirstKey } from './newest-first.ts'
import { operatorTokens } from './schema-control.ts'

export type OperatorTokenRow = typeof operatorTokens.$inferSelect

export async function findOperatorToken(db: ControlDb, tokenHash: string): Promise<OperatorTokenRow | null> {
  const [row] = await db.select().from(operatorTokens).where(eq(operatorTokens.tokenHash, tokenHash)).limit(1)
  return row ?? null
}

/** Those of these hashes, at most 90, that are still tokens (D1 takes 100 parameters). */
export async function knownTokenHashes(
  db: ControlDb,
  hashes: readonly string[],
): Promise<ReadonlySet<string>> {
  const { tokenHash } = operatorTokens
  const rows = await db
    .select({ tokenHash })
    .from(operatorTokens)
    .where(inArray(tokenHash, [...hashes]))
  return new Set(rows.map((row) => row.tokenHash))
}

/** Newest first; `after` is the last row of the page before. */
export function listOperatorTokens(
  db: ControlDb,
  after: NewestFirstKey,
  limit: number,
): Promise<OperatorTokenRow[]> {
  const { createdAtMs, id } = operatorTokens
  return db
    .select()
    .from(operatorTokens)
    .where(afterRow(createdAtMs, id, after))
    .orderBy(...newestFirst(createdAtMs, id))
    .limit(limit)
}

/** Returns the revision of the deployment: the directory knows who may brown out while D1 is away. */
export async function insertOperatorToken(
  db: ControlDb,
  note: ChangeNote,
  row: OperatorTokenRow,
): Promise<number> {
  const { revision } = await commitChange(db, note, 'deployment', [db.insert(operatorTokens).values(row)])
  return revision
}

/** The revision that it made; `last`: it is the only one, and nobody could get in any more. */
export async function deleteOperatorToken(
  db: ControlDb,
  note: ChangeNote,
  id: string,
): Promise<number | 'last' | 'unknown'> {
  const [row] = await db.select().from(operatorTokens).where(eq(operatorTokens.id, id)).limit(1)
  if (row === undefined) return 'unknown'
  if ((await db.$count(operatorTokens)) < 2) return 'last'
  // Asked again inside the statement: two deletes at once must not lock everybody out.
  const another = sql`(SELECT COUNT(*) FROM ${operatorTokens}) > 1`
  const gone = db
    .delete(operatorTokens)
    .where(and(eq(operatorTokens.id, id), another))
    .returning({ id: operatorTokens.id })
  const { results, revision } = await commitChange(db, note, 'deployment', [gone])
  return (results[0] as unknown[]).length > 0 ? revision : 'last'
}
