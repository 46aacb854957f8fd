/** The nodes that a query targets, by ranges of ordinals: one chunk of the set at a time. */

import { and, eq, gte, lte, sql } from 'drizzle-orm'
import { NodeSet, ORDINALS_PER_CHUNK } from '../fleet/node-set.ts'
import type { ControlDb } from './control.ts'
import { nodes } from './schema-nodes.ts'
import { queryTargets } from './schema-queries.ts'

/** The targets of a query from the chunk of an ordinal on: at most so many chunks, and where the last one ends. */
export async function queryTargetsFrom(
  db: ControlDb,
  query: { environmentId: string; number: number },
  fromOrdinal: number,
  maxChunks: number,
): Promise<{ targets: NodeSet; firstOrdinal: number; lastOrdinal: number; more: boolean }> {
  const first = Math.floor(fromOrdinal / ORDINALS_PER_CHUNK)
  const rows = await db
    .select({ chunk: queryTargets.chunk, bits: queryTargets.bits })
    .from(queryTargets)
    .where(
      and(
        eq(queryTargets.environmentId, query.environmentId),
        eq(queryTargets.number, query.number),
        gte(queryTargets.chunk, first),
      ),
    )
    .orderBy(queryTargets.chunk)
    .limit(maxChunks + 1)
  const taken = rows.slice(0, maxChunks)
  const lastChunk = taken.at(-1)?.chunk ?? first
  return {
    targets: NodeSet.ofChunks(taken).filter((ordinal) => ordinal >= fromOrdinal),
    firstOrdinal: fromOrdinal,
    lastOrdinal: (lastChunk + 1) * ORDINALS_PER_CHUNK - 1,
    more: rows.length > maxChunks,
  }
}

export interface TargetedNode {
  ordinal: number
  id: string
  hostname: string
  enrolledAtMs: number
  deletedAtMs: number | null
}

/** Nodes by ordinal, deleted ones too. */
export async function nodesByOrdinal(
  db: ControlDb,
  environmentId: string,
  ordinals: readonly number[],
): Promise<Map<number, TargetedNode>> {
  if (ordinals.length === 0) return new Map()
  const rows = await db
    .select({
      ordinal: nodes.ordinal,
      id: nodes.id,
      hostname: nodes.hostname,
      enrolledAtMs: nodes.enrolledAtMs,
      deletedAtMs: nodes.deletedAtMs,
    })
    .from(nodes)
    .where(
      and(
        eq(nodes.environmentId, environmentId),
        sql`${nodes.ordinal} IN (SELECT value FROM json_each(${JSON.stringify(ordinals)}))`,
      ),
    )
  return new Map(rows.map((row) => [row.ordinal, row]))
}

/** Ordinals of deleted nodes in a range: nobody asks them any more. */
export async function deletedOrdinals(
  db: ControlDb,
  environmentId: string,
  range: { first: number; last: number },
): Promise<NodeSet> {
  const rows = await db
    .select({ ordinal: nodes.ordinal })
    .from(nodes)
    .where(
      and(
        eq(nodes.environmentId, environmentId),
        gte(nodes.ordinal, range.first),
        lte(nodes.ordinal, range.last),
        sql`${nodes.deletedAtMs} IS NOT NULL`,
      ),
    )
  return NodeSet.of(rows.map(({ ordinal }) => ordinal))
}
