/** Nodes that are or were shared, as operators read them, and the end of a split. */

import { and, desc, eq, isNull, lt, sql } from 'drizzle-orm'
import type { SQLiteUpdateSetSource } from 'drizzle-orm/sqlite-core'
import { commitChange, type ChangeNote, type ControlDb } from './control.ts'
import { nodeAliases, nodes, nodeTags } from './schema-nodes.ts'

export const CLONE_STATES = ['suspected', 'flagged', 'split', 'joined'] as const
export type CloneState = (typeof CLONE_STATES)[number]

const COLUMNS = {
  id: nodes.id,
  ordinal: nodes.ordinal,
  hostname: nodes.hostname,
  identity: nodes.identity,
  instanceId: nodes.instanceId,
  hostIdentifier: nodes.hostIdentifier,
  cloneOf: nodes.cloneOf,
  clones: nodes.clones,
  clonesFoundAtMs: nodes.clonesFoundAtMs,
  clonesEvidence: nodes.clonesEvidence,
  cloneSuspectedAtMs: nodes.cloneSuspectedAtMs,
  splitBy: nodes.splitBy,
  enrolledAtMs: nodes.enrolledAtMs,
  enrollCount: nodes.enrollCount,
  dampedEnrolls: nodes.dampedEnrolls,
}
export type CloneRow = Awaited<ReturnType<typeof listClones>>[number]

// In these words, so that the index nodes_of_clones is used.
const SHARED = sql`(clone_of IS NOT NULL OR clones IS NOT NULL OR clone_suspected_at IS NOT NULL)`

/** The newest first, as all lists of nodes. */
export function listClones(
  db: ControlDb,
  environmentId: string,
  state: CloneState | null,
  belowOrdinal: number | null,
  limit: number,
) {
  return db
    .select(COLUMNS)
    .from(nodes)
    .where(
      and(
        eq(nodes.environmentId, environmentId),
        SHARED,
        isNull(nodes.deletedAtMs),
        belowOrdinal === null ? undefined : lt(nodes.ordinal, belowOrdinal),
        state === null ? undefined : state === 'suspected' ? isNull(nodes.clones) : eq(nodes.clones, state),
      ),
    )
    .orderBy(desc(nodes.ordinal))
    .limit(limit)
}

/** One node of that list; null where it is not there. */
export async function findClone(db: ControlDb, environmentId: string, id: string): Promise<CloneRow | null> {
  const here = and(
    eq(nodes.environmentId, environmentId),
    eq(nodes.id, id),
    SHARED,
    isNull(nodes.deletedAtMs),
  )
  const [row] = await db.select(COLUMNS).from(nodes).where(here).limit(1)
  return row ?? null
}

/** The nodes that were split from this one and are there still. */
export function clonesOf(db: ControlDb, environmentId: string, id: string): Promise<CloneRow[]> {
  return db
    .select(COLUMNS)
    .from(nodes)
    .where(
      and(eq(nodes.environmentId, environmentId), eq(nodes.cloneOf, id), SHARED, isNull(nodes.deletedAtMs)),
    )
    .orderBy(nodes.ordinal)
}

/**
 * Makes a node and those that were split from it one again, and for good: their keys are revoked, their tags become the
 * node's, and they are it when they enroll again. Returns the revision.
 */
export async function joinClones(
  db: ControlDb,
  note: ChangeNote,
  environmentId: string,
  id: string,
): Promise<number> {
  const itsClones = and(
    eq(nodes.environmentId, environmentId),
    eq(nodes.cloneOf, id),
    isNull(nodes.deletedAtMs),
  )
  const ids = sql`(SELECT id FROM nodes WHERE environment_id = ${environmentId} AND clone_of = ${id}
    AND deleted_at IS NULL)`
  const joined: SQLiteUpdateSetSource<typeof nodes> = {
    clones: 'joined',
    cloneSuspectedAtMs: null,
    splitBy: null,
    splitCount: 0,
  }
  const { revision } = await commitChange(db, note, 'environment', [
    db
      .insert(nodeTags)
      .select(sql`SELECT DISTINCT environment_id, ${id}, tag FROM node_tags
        WHERE environment_id = ${environmentId} AND node_id IN ${ids}`)
      .onConflictDoNothing(),
    db.delete(nodeTags).where(and(eq(nodeTags.environmentId, environmentId), sql`node_id IN ${ids}`)),
    // Nodes that were merged into them are parts of the node now, too.
    db
      .update(nodeAliases)
      .set({ nodeId: id })
      .where(and(eq(nodeAliases.environmentId, environmentId), sql`node_id IN ${ids}`)),
    db
      .update(nodes)
      .set({ mergedInto: id })
      .where(
        and(eq(nodes.environmentId, environmentId), sql`merged_into IS NOT NULL AND merged_into IN ${ids}`),
      ),
    db
      .insert(nodeAliases)
      .select(sql`SELECT environment_id, identity, ${id} FROM nodes WHERE id IN ${ids}`)
      .onConflictDoUpdate({ target: [nodeAliases.environmentId, nodeAliases.identity], set: { nodeId: id } }),
    db.update(nodes).set({ deletedAtMs: note.atMs, mergedInto: id }).where(itsClones),
    db
      .update(nodes)
      .set(joined)
      .where(and(eq(nodes.environmentId, environmentId), eq(nodes.id, id))),
  ])
  return revision
}
