/** Tags of many nodes at once. */

import { asc, count, eq, sql } from 'drizzle-orm'
import type { NodeSet } from '../fleet/node-set.ts'
import { commitChange, type ChangeNote, type ControlDb, type Statement } from './control.ts'
import { nodeTags } from './schema-nodes.ts'

export interface TagChanges {
  add: readonly string[]
  remove: readonly string[]
}

/** Ordinals of one statement: 160 KB of JSON, where D1 takes 2 MB as one parameter. */
const ORDINALS_AT_ONCE = 20_000

/** Every tag of the environment and how many nodes have it, by name. */
export function countTags(db: ControlDb, environmentId: string): Promise<{ tag: string; nodes: number }[]> {
  return db
    .select({ tag: nodeTags.tag, nodes: count() })
    .from(nodeTags)
    .where(eq(nodeTags.environmentId, environmentId))
    .groupBy(nodeTags.tag)
    .orderBy(asc(nodeTags.tag))
}

/** How many of these nodes would have more than `maxTags` tags after the changes. */
export async function nodesOverTagLimit(
  db: ControlDb,
  environmentId: string,
  set: NodeSet,
  { add, remove }: TagChanges,
  maxTags: number,
): Promise<number> {
  if (add.length === 0) return 0
  const touched = JSON.stringify([...add, ...remove])
  let over = 0
  for (const ordinals of slicesOf(set)) {
    const [row] = await db.all<{ over: number }>(sql`SELECT COUNT(*) AS over FROM nodes AS n
      WHERE n.environment_id = ${environmentId} AND n.deleted_at IS NULL
        AND n.ordinal IN (SELECT value FROM json_each(${JSON.stringify(ordinals)}))
        AND ${add.length} + (SELECT COUNT(*) FROM node_tags AS t WHERE t.environment_id = n.environment_id
          AND t.node_id = n.id AND t.tag NOT IN (SELECT value FROM json_each(${touched}))) > ${maxTags}`)
    over += row?.over ?? 0
  }
  return over
}

/** How many of these nodes lack a tag that is to be added, or have one that is to be removed. */
export async function nodesToChange(
  db: ControlDb,
  environmentId: string,
  set: NodeSet,
  { add, remove }: TagChanges,
): Promise<number> {
  let changed = 0
  for (const ordinals of slicesOf(set)) {
    const [row] = await db.all<{ changed: number }>(sql`SELECT COUNT(*) AS changed FROM nodes AS n
      WHERE n.environment_id = ${environmentId} AND n.deleted_at IS NULL
        AND n.ordinal IN (SELECT value FROM json_each(${JSON.stringify(ordinals)}))
        AND (EXISTS (SELECT 1 FROM json_each(${JSON.stringify(add)}) AS a WHERE NOT EXISTS (SELECT 1 FROM node_tags AS t
            WHERE t.environment_id = n.environment_id AND t.node_id = n.id AND t.tag = a.value))
          OR EXISTS (SELECT 1 FROM node_tags AS t WHERE t.environment_id = n.environment_id AND t.node_id = n.id
            AND t.tag IN (SELECT value FROM json_each(${JSON.stringify(remove)}))))`)
    changed += row?.changed ?? 0
  }
  return changed
}

/** Changes the tags of these nodes, of all or of none. Returns the revision. */
export async function changeTags(
  db: ControlDb,
  note: ChangeNote,
  environmentId: string,
  set: NodeSet,
  { add, remove }: TagChanges,
): Promise<number> {
  const statements: Statement[] = []
  for (const slice of slicesOf(set)) {
    const meant = sql`SELECT id FROM nodes WHERE environment_id = ${environmentId} AND deleted_at IS NULL
      AND ordinal IN (SELECT value FROM json_each(${JSON.stringify(slice)}))`
    if (remove.length > 0) {
      statements.push(
        db.delete(nodeTags).where(sql`environment_id = ${environmentId} AND node_id IN (${meant})
          AND tag IN (SELECT value FROM json_each(${JSON.stringify(remove)}))`),
      )
    }
    if (add.length > 0) {
      statements.push(
        db
          .insert(nodeTags)
          .select(sql`SELECT ${environmentId}, n.id, t.value FROM (${meant}) AS n
            JOIN json_each(${JSON.stringify(add)}) AS t WHERE true`)
          .onConflictDoNothing(),
      )
    }
  }
  return (await commitChange(db, note, 'environment', statements)).revision
}

/** The ordinals of a set, so many at a time that one statement takes them. */
export function* slicesOf(set: NodeSet): Generator<number[]> {
  let slice: number[] = []
  for (const ordinal of set) {
    slice.push(ordinal)
    if (slice.length === ORDINALS_AT_ONCE) {
      yield slice
      slice = []
    }
  }
  if (slice.length > 0) yield slice
}
