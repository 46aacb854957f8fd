/** Blocked identities: who is one of them is told to enroll anew and does not get in. */

import { and, eq, inArray, isNull, sql } from 'drizzle-orm'
import type { NodeSet } from '../fleet/node-set.ts'
import { commitChange, type ChangeNote, type ControlDb, type Statement } from './control.ts'
import { afterRow, newestFirst, type NewestFirstKey } from './newest-first.ts'
import { blockedIdentities, blocks, nodes } from './schema-nodes.ts'
import { slicesOf } from './tags.ts'

export type BlockRow = typeof blocks.$inferSelect

/** Newest first; `after` is the sort key of the last row of the page before. */
export function listBlocks(
  db: ControlDb,
  environmentId: string,
  after: NewestFirstKey,
  limit: number,
): Promise<BlockRow[]> {
  const { createdAtMs, id } = blocks
  return db
    .select()
    .from(blocks)
    .where(and(eq(blocks.environmentId, environmentId), afterRow(createdAtMs, id, after)))
    .orderBy(...newestFirst(createdAtMs, id))
    .limit(limit)
}

/** The identities of blocks, by block. */
export async function identitiesOfBlocks(
  db: ControlDb,
  environmentId: string,
  ids: readonly string[],
): Promise<Map<string, string[]>> {
  const rows = await db
    .select({ blockId: blockedIdentities.blockId, identity: blockedIdentities.identity })
    .from(blockedIdentities)
    .where(
      and(
        eq(blockedIdentities.environmentId, environmentId),
        inArray(blockedIdentities.blockId, sql`(SELECT value FROM json_each(${JSON.stringify(ids)}))`),
      ),
    )
    .orderBy(blockedIdentities.identity)
  const groups = Map.groupBy(rows, ({ blockId }) => blockId)
  return new Map([...groups].map(([id, group]) => [id, group.map(({ identity }) => identity)]))
}

/** Blocks living nodes with what they are known by. Those that are blocked already stay as they are. */
export async function blockNodes(
  db: ControlDb,
  note: ChangeNote,
  environmentId: string,
  set: NodeSet,
  reason: string,
): Promise<number> {
  const statements = [...slicesOf(set)].flatMap((ordinals): Statement[] => {
    const meant = sql`environment_id = ${environmentId} AND deleted_at IS NULL AND blocked_at IS NULL
      AND ordinal IN (SELECT value FROM json_each(${JSON.stringify(ordinals)}))`
    return [
      db.insert(blocks).select(sql`SELECT lower(hex(randomblob(16))), environment_id, id, hostname, ${reason},
        ${note.atMs}, ${note.actor} FROM nodes WHERE ${meant}`),
      db
        .insert(blockedIdentities)
        .select(
          sql`SELECT n.environment_id, n.identity, b.id FROM (SELECT id, environment_id, identity FROM nodes WHERE ${meant})
            AS n JOIN blocks AS b ON b.node_id = n.id AND b.environment_id = n.environment_id
              AND b.created_at = ${note.atMs} WHERE true`,
        )
        .onConflictDoNothing(),
      db.update(nodes).set({ blockedAtMs: note.atMs }).where(meant),
    ]
  })
  return (await commitChange(db, note, 'environment', statements)).revision
}

/** Blocks an identity, and the living node that has it, if there is one. */
export async function blockIdentity(
  db: ControlDb,
  note: ChangeNote,
  block: Omit<BlockRow, 'nodeId' | 'hostname'>,
  identity: string,
): Promise<number> {
  const { id, environmentId, reason, createdAtMs, createdBy } = block
  const has = and(
    eq(nodes.environmentId, environmentId),
    eq(nodes.identity, identity),
    isNull(nodes.deletedAtMs),
  )
  const [node] = await db.select({ id: nodes.id, hostname: nodes.hostname }).from(nodes).where(has).limit(1)
  const row = { id, environmentId, nodeId: node?.id ?? null, hostname: node?.hostname ?? '', reason }
  const { revision } = await commitChange(db, note, 'environment', [
    db.insert(blocks).values({ ...row, createdAtMs, createdBy }),
    db.insert(blockedIdentities).values({ environmentId, identity, blockId: id }),
    db
      .update(nodes)
      .set({ blockedAtMs: note.atMs })
      .where(and(has, isNull(nodes.blockedAtMs))),
  ])
  return revision
}

/** Takes a block back: its node is as it was before, if no other block keeps it. Null: there is no such block here. */
export async function deleteBlock(
  db: ControlDb,
  note: ChangeNote,
  environmentId: string,
  id: string,
): Promise<number | null> {
  const here = and(eq(blocks.environmentId, environmentId), eq(blocks.id, id))
  const [block] = await db.select({ nodeId: blocks.nodeId }).from(blocks).where(here).limit(1)
  if (block === undefined) return null
  const { revision } = await commitChange(db, note, 'environment', [
    db
      .delete(blockedIdentities)
      .where(and(eq(blockedIdentities.environmentId, environmentId), eq(blockedIdentities.blockId, id))),
    db.delete(blocks).where(here),
    db
      .update(nodes)
      .set({ blockedAtMs: null })
      .where(
        and(
          eq(nodes.environmentId, environmentId),
          sql`${nodes.id} = ${block.nodeId} AND NOT EXISTS (SELECT 1 FROM blocked_identities AS b
            WHERE b.environment_id = ${environmentId} AND b.identity = ${nodes.identity})`,
        ),
      ),
  ])
  return revision
}
