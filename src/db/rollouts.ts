/** Rollouts: versions on their way to all nodes, who has them, and what became of them. */

import { and, desc, eq, isNull, sql } from 'drizzle-orm'
import type { Held } from '../fleet/held.ts'
import { NodeSet } from '../fleet/node-set.ts'
import { commitChange, isNullRefused, type ChangeNote, type ControlDb, type Statement } from './control.ts'
import { rememberHeld, heldOfText, textOfHeld } from './held-options.ts'
import { newVersionStatements, stableVersionOf, type NewVersion } from './configurations.ts'
import { afterRow, newestFirst, type NewestFirstKey } from './newest-first.ts'
import { environments, rolloutMembers, rollouts } from './schema-control.ts'

export type RolloutRow = typeof rollouts.$inferSelect
/** What a move changes. */
export type RolloutChange = Partial<
  Pick<
    RolloutRow,
    | 'state'
    | 'step'
    | 'stepSinceMs'
    | 'stepSpentMs'
    | 'served'
    | 'dueAtMs'
    | 'gates'
    | 'reason'
    | 'clearing'
    | 'endedAtMs'
  >
>

export async function findRollout(
  db: ControlDb,
  environmentId: string,
  id: string,
): Promise<RolloutRow | null> {
  const [row] = await db
    .select()
    .from(rollouts)
    .where(and(eq(rollouts.environmentId, environmentId), eq(rollouts.id, id)))
    .limit(1)
  return row ?? null
}

/** The rollout that is not over; an environment has one at most. */
export async function rolloutUnderWay(db: ControlDb, environmentId: string): Promise<RolloutRow | null> {
  const [row] = await db
    .select()
    .from(rollouts)
    .where(and(eq(rollouts.environmentId, environmentId), isNull(rollouts.endedAtMs)))
    .limit(1)
  return row ?? null
}

/** Newest first; `after` is the sort key of the last row of the page before. */
export function listRollouts(
  db: ControlDb,
  environmentId: string,
  after: NewestFirstKey,
  limit: number,
): Promise<RolloutRow[]> {
  const { createdAtMs, id } = rollouts
  return db
    .select()
    .from(rollouts)
    .where(and(eq(rollouts.environmentId, environmentId), afterRow(createdAtMs, id, after)))
    .orderBy(...newestFirst(createdAtMs, id))
    .limit(limit)
}

/** Who was ever given its version. */
export async function membersOfRollout(db: ControlDb, id: string): Promise<NodeSet> {
  const chunks = await db
    .select({ chunk: rolloutMembers.chunk, bits: rolloutMembers.bits })
    .from(rolloutMembers)
    .where(eq(rolloutMembers.rolloutId, id))
  return NodeSet.ofChunks(chunks)
}

/**
 * Nodes that may be a member's osqueryd under another ordinal: who enrolled again since a time because its node was
 * deleted, or was split from it. A process keeps its options over that.
 */
export async function successorsOf(
  db: ControlDb,
  environmentId: string,
  members: NodeSet,
  sinceMs: number,
): Promise<NodeSet> {
  const rows = await db.all<{ before: number; after: number }>(sql`
    SELECT d.ordinal AS "before", n.ordinal AS "after" FROM nodes AS d JOIN nodes AS n
      ON n.environment_id = d.environment_id AND n.identity = d.identity AND n.deleted_at IS NULL
      WHERE d.environment_id = ${environmentId} AND d.deleted_at >= ${sinceMs} AND n.ordinal > d.ordinal
    UNION ALL SELECT d.ordinal, n.ordinal FROM nodes AS n JOIN nodes AS d ON d.id = n.clone_of
      WHERE n.environment_id = ${environmentId} AND n.first_enrolled_at >= ${sinceMs} AND n.deleted_at IS NULL`)
  // Who came after one that came after is one, too.
  const found = new NodeSet()
  const isMeant = (ordinal: number) => members.has(ordinal) || found.has(ordinal)
  for (const { before, after } of rows.toSorted((a, b) => a.after - b.after))
    if (isMeant(before) && !members.has(after)) found.add(after)
  return found
}

/** Adds nodes that are to be cleared, too. Null where it was moved meanwhile. */
export function addCleared(
  db: ControlDb,
  note: ChangeNote,
  row: Pick<RolloutRow, 'id' | 'environmentId' | 'turn'>,
  members: NodeSet,
): Promise<number | null> {
  return changeWhile(db, note, row, {}, memberStatements(db, row.id, members))
}

/** Taken back, and nodes may hold what it said still. */
export async function rolloutsTakenBack(
  db: ControlDb,
  environmentId: string,
): Promise<{ members: NodeSet; held: Held[] }[]> {
  const rows = await db
    .select({ id: rollouts.id, held: rollouts.held })
    .from(rollouts)
    .where(and(eq(rollouts.environmentId, environmentId), eq(rollouts.clearing, true)))
    .orderBy(desc(rollouts.createdAtMs))
  return Promise.all(
    rows.map(async ({ id, held }) => ({
      members: await membersOfRollout(db, id),
      held: heldOfText(held),
    })),
  )
}

/** What some nodes may hold of versions that were taken back. */
export async function heldOfTakenBack(db: ControlDb, environmentId: string): Promise<Held[]> {
  const rows = await db
    .select({ held: rollouts.held })
    .from(rollouts)
    .where(and(eq(rollouts.environmentId, environmentId), eq(rollouts.clearing, true)))
  return rows.flatMap(({ held }) => heldOfText(held))
}

/** The rollouts that the cron has to look at by now, of all environments. One statement. */
export function dueRollouts(db: ControlDb, nowMs: number, limit: number): Promise<RolloutRow[]> {
  return db
    .select()
    .from(rollouts)
    .where(sql`${rollouts.dueAtMs} <= ${nowMs}`)
    .orderBy(rollouts.dueAtMs)
    .limit(limit)
}

/**
 * Starts a rollout, with its version where that is new. Throws where another one is under way (rollouts.environment_id),
 * where the stable version is not this any more (rollouts.stable_version), or where there is this version already
 * (configurations.version). Returns the environment's revision.
 */
export async function insertRollout(
  db: ControlDb,
  note: ChangeNote,
  rollout: Omit<RolloutRow, 'held'> & { held: readonly Held[]; members: NodeSet; content: NewVersion | null },
): Promise<number> {
  const { held, members, content, ...row } = rollout
  const { environmentId, stableVersion } = row
  // Null where somebody made another version the stable one, and then nothing of this is done.
  const expected = sql`CASE WHEN ${stableVersionOf(environmentId)} = ${stableVersion} THEN ${stableVersion} END`
  const { revision } = await commitChange(db, note, 'environment', [
    db.insert(rollouts).values({ ...row, held: textOfHeld(held), stableVersion: expected }),
    ...(content === null ? [] : newVersionStatements(db, note, content)),
    db.update(environments).set({ stableVersion }).where(eq(environments.id, environmentId)),
    ...memberStatements(db, row.id, members),
  ])
  return revision
}

/**
 * Stores a move, with what follows from it for the environment. Throws where the rollout is not as it was read any more
 * (rollouts.turn). Returns the environment's revision.
 */
export async function moveRollout(
  db: ControlDb,
  note: ChangeNote,
  row: Pick<RolloutRow, 'id' | 'environmentId' | 'turn'>,
  change: RolloutChange,
  follows: { stable: { from: number; to: number } | null; held: readonly Held[]; members: NodeSet | null },
): Promise<number> {
  const { stable, held, members } = follows
  const { id, environmentId, turn } = row
  // Null where somebody else moved it, and then nothing of this is done.
  const next = sql`CASE WHEN ${rollouts.turn} = ${turn} ${
    stable === null ? sql`` : sql`AND ${stableVersionOf(environmentId)} = ${stable.from}`
  } AND NOT EXISTS (SELECT 1 FROM rollouts AS o WHERE o.environment_id = ${environmentId} AND o.ended_at IS NULL
    AND o.id <> ${id}) THEN ${turn + 1} END`
  const { revision } = await commitChange(db, note, 'environment', [
    db
      .update(rollouts)
      .set({ ...change, turn: next })
      .where(eq(rollouts.id, id)),
    ...(stable === null
      ? []
      : [
          db.update(environments).set({ stableVersion: stable.to }).where(eq(environments.id, environmentId)),
        ]),
    ...(held.length === 0 ? [] : [rememberHeld(db, environmentId, held)]),
    ...(members === null ? [] : memberStatements(db, id, members)),
  ])
  return revision
}

/** Notes what the gates said, and when to look again; nothing where somebody moved it meanwhile. */
export async function noteLook(
  db: ControlDb,
  { id, turn }: Pick<RolloutRow, 'id' | 'turn'>,
  noted: Partial<Pick<RolloutRow, 'dueAtMs' | 'gates'>>,
): Promise<void> {
  await db
    .update(rollouts)
    .set(noted)
    .where(and(eq(rollouts.id, id), eq(rollouts.turn, turn)))
}

/** What was taken back is not held any more. Null where it was moved meanwhile. */
export function endClearing(
  db: ControlDb,
  note: ChangeNote,
  row: Pick<RolloutRow, 'id' | 'turn'>,
): Promise<number | null> {
  return changeWhile(db, note, row, { clearing: false, dueAtMs: null }, [])
}

async function changeWhile(
  db: ControlDb,
  note: ChangeNote,
  { id, turn }: Pick<RolloutRow, 'id' | 'turn'>,
  change: RolloutChange,
  more: readonly Statement[],
): Promise<number | null> {
  const next = sql`CASE WHEN ${rollouts.turn} = ${turn} THEN ${turn + 1} END`
  try {
    const { revision } = await commitChange(db, note, 'environment', [
      db
        .update(rollouts)
        .set({ ...change, turn: next })
        .where(eq(rollouts.id, id)),
      ...more,
    ])
    return revision
  } catch (error) {
    if (isNullRefused(error, 'rollouts.turn')) return null
    throw error
  }
}

function memberStatements(db: ControlDb, rolloutId: string, members: NodeSet): Statement[] {
  return members.chunks().map(({ chunk, bits }) =>
    db
      .insert(rolloutMembers)
      .values({ rolloutId, chunk, bits })
      .onConflictDoUpdate({ target: [rolloutMembers.rolloutId, rolloutMembers.chunk], set: { bits } }),
  )
}
