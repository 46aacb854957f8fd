/** Nodes that are one machine under several rows: finding them, and making one of two. */

import { and, eq, inArray, isNotNull, isNull, sql } from 'drizzle-orm'
import { commitChange, type ChangeNote, type ControlDb } from './control.ts'
import { inState } from './node-states.ts'
import { nodeAliases, nodes, nodeTags } from './schema-nodes.ts'

/** By what nodes may be told to be the same machine. */
export const DUPLICATE_KEYS = ['serial', 'uuid', 'hostname'] as const
export type DuplicateKey = (typeof DUPLICATE_KEYS)[number]

const COLUMNS = {
  serial: nodes.hardwareSerial,
  uuid: nodes.hardwareUuid,
  hostname: nodes.hostname,
}

export type DuplicateRow = Pick<
  typeof nodes.$inferSelect,
  'id' | 'ordinal' | 'hostname' | 'identity' | 'hardwareSerial' | 'hardwareUuid' | 'enrolledAtMs'
>

/** Values that several living nodes have, in their order, without those that are nobody's. Clones are told apart on purpose. */
export async function duplicateValues(
  db: ControlDb,
  environmentId: string,
  key: DuplicateKey,
  options: { placeholders: readonly string[]; after: string | null; limit: number },
): Promise<{ value: string; nodes: number }[]> {
  const value = sql<string>`lower(${COLUMNS[key]})`
  return db
    .select({ value, nodes: sql<number>`COUNT(*)` })
    .from(nodes)
    .where(
      and(
        eq(nodes.environmentId, environmentId),
        isNull(nodes.deletedAtMs),
        isNull(nodes.cloneOf),
        sql`${value} <> ''`,
        sql`${value} NOT IN (SELECT value FROM json_each(${JSON.stringify(options.placeholders)}))`,
        options.after === null ? undefined : sql`${value} > ${options.after}`,
      ),
    )
    .groupBy(sql`1`)
    .having(sql`COUNT(*) > 1`)
    .orderBy(sql`1`)
    .limit(options.limit)
}

/** The living nodes that have one of these values, the newest first. */
export function nodesWithValues(
  db: ControlDb,
  environmentId: string,
  key: DuplicateKey,
  values: readonly string[],
): Promise<(DuplicateRow & { value: string })[]> {
  const value = sql<string>`lower(${COLUMNS[key]})`
  const { id, ordinal, hostname, identity, hardwareSerial, hardwareUuid, enrolledAtMs } = nodes
  return db
    .select({ value, id, ordinal, hostname, identity, hardwareSerial, hardwareUuid, enrolledAtMs })
    .from(nodes)
    .where(
      and(
        eq(nodes.environmentId, environmentId),
        isNull(nodes.deletedAtMs),
        isNull(nodes.cloneOf),
        inArray(value, sql`(SELECT value FROM json_each(${JSON.stringify(values)}))`),
      ),
    )
    .orderBy(sql`${nodes.ordinal} DESC`)
}

/** Tags that two nodes have together. */
export async function countUnitedTags(
  db: ControlDb,
  environmentId: string,
  ids: readonly string[],
): Promise<number> {
  const rows = await db
    .selectDistinct({ tag: nodeTags.tag })
    .from(nodeTags)
    .where(and(eq(nodeTags.environmentId, environmentId), inArray(nodeTags.nodeId, [...ids])))
  return rows.length
}

/**
 * Makes a node a part of another: its tags become the other's, its key is revoked, and who enrolls as it from now on is
 * the other. What it logged stays under its own id, which the other keeps. Returns the revision.
 */
export async function mergeNode(
  db: ControlDb,
  note: ChangeNote,
  environmentId: string,
  { from, into }: { from: { id: string; identity: string }; into: string },
): Promise<number> {
  const here = eq(nodes.environmentId, environmentId)
  // Both have to be there still, else nothing happens to either.
  const both = sql`(SELECT COUNT(*) FROM nodes WHERE environment_id = ${environmentId} AND deleted_at IS NULL
    AND id IN (${from.id}, ${into})) = 2`
  const { revision } = await commitChange(db, note, 'environment', [
    db
      .insert(nodeTags)
      .select(sql`SELECT environment_id, ${into}, tag FROM node_tags
        WHERE environment_id = ${environmentId} AND node_id = ${from.id} AND ${both}`)
      .onConflictDoNothing(),
    db
      .update(nodeAliases)
      .set({ nodeId: into })
      .where(and(eq(nodeAliases.environmentId, environmentId), eq(nodeAliases.nodeId, from.id), both)),
    db
      .insert(nodeAliases)
      .select(sql`SELECT environment_id, identity, ${into} FROM nodes WHERE id = ${from.id} AND ${both}`)
      .onConflictDoUpdate({
        target: [nodeAliases.environmentId, nodeAliases.identity],
        set: { nodeId: into },
      }),
    // The merged before are parts of the other now, too.
    db
      .update(nodes)
      .set({ mergedInto: into })
      .where(and(here, isNotNull(nodes.mergedInto), eq(nodes.mergedInto, from.id), both)),
    db
      .delete(nodeTags)
      .where(and(eq(nodeTags.environmentId, environmentId), eq(nodeTags.nodeId, from.id), both)),
    db
      .update(nodes)
      .set({ deletedAtMs: note.atMs, mergedInto: into })
      .where(and(here, eq(nodes.id, from.id), both)),
  ])
  return revision
}

/** The nodes that became parts of this one, oldest first: their history is under their own ids. */
export async function formerIdsOf(db: ControlDb, environmentId: string, id: string): Promise<string[]> {
  const rows = await db
    .select({ id: nodes.id })
    .from(nodes)
    .where(and(eq(nodes.environmentId, environmentId), isNotNull(nodes.mergedInto), eq(nodes.mergedInto, id)))
    .orderBy(nodes.ordinal)
  return rows.map((row) => row.id)
}

/** What became of a node that is not there (any more): the one that it is a part of; null: of none. */
export async function mergedInto(db: ControlDb, environmentId: string, id: string): Promise<string | null> {
  const [row] = await db
    .select({ into: nodes.mergedInto })
    .from(nodes)
    .where(and(eq(nodes.environmentId, environmentId), eq(nodes.id, id)))
    .limit(1)
  return row?.into ?? null
}

/** A node that may be merged: in use, neither waiting nor blocked. */
export async function findMergeable(
  db: ControlDb,
  environmentId: string,
  id: string,
): Promise<{ id: string; identity: string; hostname: string; cloneOf: string | null } | null> {
  const [row] = await db
    .select({ id: nodes.id, identity: nodes.identity, hostname: nodes.hostname, cloneOf: nodes.cloneOf })
    .from(nodes)
    .where(
      and(
        eq(nodes.environmentId, environmentId),
        eq(nodes.id, id),
        sql`(${inState('active')} OR ${inState('archived')})`,
      ),
    )
    .limit(1)
  return row ?? null
}
