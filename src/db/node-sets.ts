/** Saved node sets: bitsets with a name, made and edited by target expressions. */

import { and, asc, count, eq } from 'drizzle-orm'
import { NodeSet } from '../fleet/node-set.ts'
import { commitChange, type ChangeNote, type ControlDb, type Statement } from './control.ts'
import { afterRow, newestFirst, type NewestFirstKey } from './newest-first.ts'
import { nodeSetChunks, nodeSets } from './schema-nodes.ts'

export type NodeSetRow = typeof nodeSets.$inferSelect

/** Newest first; `after` is the sort key of the last row of the page before. */
export function listNodeSets(
  db: ControlDb,
  environmentId: string,
  after: NewestFirstKey,
  limit: number,
): Promise<NodeSetRow[]> {
  const { createdAtMs, id } = nodeSets
  return db
    .select()
    .from(nodeSets)
    .where(and(eq(nodeSets.environmentId, environmentId), afterRow(createdAtMs, id, after)))
    .orderBy(...newestFirst(createdAtMs, id))
    .limit(limit)
}

export async function findNodeSet(
  db: ControlDb,
  environmentId: string,
  id: string,
): Promise<NodeSetRow | null> {
  const [row] = await db
    .select()
    .from(nodeSets)
    .where(and(eq(nodeSets.environmentId, environmentId), eq(nodeSets.id, id)))
    .limit(1)
  return row ?? null
}

/** The members of a set by its name; null where there is no such set. */
export async function findNodeSetByName(
  db: ControlDb,
  environmentId: string,
  name: string,
): Promise<NodeSet | null> {
  const [row] = await db
    .select({ id: nodeSets.id })
    .from(nodeSets)
    .where(and(eq(nodeSets.environmentId, environmentId), eq(nodeSets.name, name)))
    .limit(1)
  return row === undefined ? null : membersOfNodeSet(db, row.id)
}

export async function membersOfNodeSet(db: ControlDb, id: string): Promise<NodeSet> {
  const chunks = await db
    .select({ chunk: nodeSetChunks.chunk, bits: nodeSetChunks.bits })
    .from(nodeSetChunks)
    .where(eq(nodeSetChunks.nodeSetId, id))
    .orderBy(asc(nodeSetChunks.chunk))
  return NodeSet.ofChunks(chunks)
}

/** How many sets the environment has. */
export async function countNodeSets(db: ControlDb, environmentId: string): Promise<number> {
  const [row] = await db
    .select({ sets: count() })
    .from(nodeSets)
    .where(eq(nodeSets.environmentId, environmentId))
  return row?.sets ?? 0
}

/** Throws where the name is taken (node_sets.name). */
export async function insertNodeSet(
  db: ControlDb,
  note: ChangeNote,
  row: NodeSetRow,
  members: NodeSet,
): Promise<void> {
  await commitChange(db, note, 'none', [
    db.insert(nodeSets).values(row),
    ...chunkInserts(db, row.id, members),
  ])
}

/** Makes the members exactly these: layers of the configuration may go by them. Returns the revision. */
export async function replaceNodeSet(
  db: ControlDb,
  note: ChangeNote,
  id: string,
  members: NodeSet,
): Promise<number> {
  const { revision } = await commitChange(db, note, 'environment', [
    db.update(nodeSets).set({ updatedAtMs: note.atMs }).where(eq(nodeSets.id, id)),
    db.delete(nodeSetChunks).where(eq(nodeSetChunks.nodeSetId, id)),
    ...chunkInserts(db, id, members),
  ])
  return revision
}

export async function deleteNodeSet(db: ControlDb, note: ChangeNote, id: string): Promise<void> {
  await commitChange(db, note, 'none', [
    db.delete(nodeSetChunks).where(eq(nodeSetChunks.nodeSetId, id)),
    db.delete(nodeSets).where(eq(nodeSets.id, id)),
  ])
}

function chunkInserts(db: ControlDb, nodeSetId: string, members: NodeSet): Statement[] {
  return members
    .chunks()
    .map(({ chunk, bits }) => db.insert(nodeSetChunks).values({ nodeSetId, chunk, bits }))
}
