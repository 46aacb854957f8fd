/** Nodes as operators read and change them. A deleted node is not there; its row stays as a tombstone. */

import { and, asc, desc, eq, inArray, isNull, lt, or, sql, type SQL } from 'drizzle-orm'
import { readIntervals } from '../config/intervals.ts'
import { commitChange, type ChangeNote, type ControlDb } from './control.ts'
import { SPLAY_BUCKETS, splayedInterval } from '../fleet/splay.ts'
import type { NodeState } from '../fleet/standing.ts'
import { stableVersionOf } from './configurations.ts'
import { inState } from './node-states.ts'
import { configurations, environments } from './schema-control.ts'
import { nodes, nodeTags } from './schema-nodes.ts'
import { ordinalsSeenWith, type TraceRange } from './trace-lookup.ts'

export type NodeRow = typeof nodes.$inferSelect
/** A node without the large column, for lists. */
export type NodeSummaryRow = Pick<
  NodeRow,
  | 'id'
  | 'ordinal'
  | 'hostname'
  | 'platform'
  | 'osqueryVersion'
  | 'enrolledAtMs'
  | 'pendingSinceMs'
  | 'archivedAtMs'
  | 'blockedAtMs'
>

export interface NodeFilter {
  /** Left out: any. */
  state?: NodeState | undefined
  /** Exact platform name or family. */
  platform?: string | undefined
  /** Part of a hostname, id, host identifier, hardware UUID or serial; case does not matter (ASCII). */
  q?: string | undefined
  /** The id of the secret that it enrolled with last. */
  enrollSecret?: string | undefined
  /** Values that it has now, one of each range. */
  seenWith?: readonly TraceRange[]
}

const SUMMARY = {
  id: nodes.id,
  ordinal: nodes.ordinal,
  hostname: nodes.hostname,
  platform: nodes.platform,
  osqueryVersion: nodes.osqueryVersion,
  enrolledAtMs: nodes.enrolledAtMs,
  pendingSinceMs: nodes.pendingSinceMs,
  archivedAtMs: nodes.archivedAtMs,
  blockedAtMs: nodes.blockedAtMs,
}

/** Ordinals only grow: the highest is the newest node, and a page stays the same page when agents enroll again. */
export function listNodes(
  db: ControlDb,
  environmentId: string,
  filter: NodeFilter,
  belowOrdinal: number | null,
  limit: number,
): Promise<NodeSummaryRow[]> {
  const { enrollSecret, platform, q, seenWith = [], state } = filter
  return db
    .select(SUMMARY)
    .from(nodes)
    .where(
      and(
        eq(nodes.environmentId, environmentId),
        state === undefined ? isNull(nodes.deletedAtMs) : inState(state),
        belowOrdinal === null ? undefined : lt(nodes.ordinal, belowOrdinal),
        platform === undefined
          ? undefined
          : or(eq(nodes.platform, platform), eq(nodes.platformFamily, platform)),
        q === undefined ? undefined : mentions(q),
        enrollSecret === undefined ? undefined : eq(nodes.enrollSecretId, enrollSecret),
        ...seenWith.map((range) => sql`${nodes.ordinal} IN ${ordinalsSeenWith(environmentId, range)}`),
      ),
    )
    .orderBy(desc(nodes.ordinal))
    .limit(limit)
}

// Not LIKE: D1 limits its patterns to 50 bytes, and hostnames have underscores.
function mentions(q: string): SQL | undefined {
  const { hostname, id, hostIdentifier, hardwareUuid, hardwareSerial } = nodes
  return or(
    ...[hostname, id, hostIdentifier, hardwareUuid, hardwareSerial].map(
      (column) => sql`instr(lower(${column}), lower(${q})) > 0`,
    ),
  )
}

/** Those of these ordinals that are there, the highest first. */
export function nodesOfOrdinals(
  db: ControlDb,
  environmentId: string,
  ordinals: readonly number[],
): Promise<NodeSummaryRow[]> {
  const wanted = sql`(SELECT value FROM json_each(${JSON.stringify(ordinals)}))`
  return db
    .select(SUMMARY)
    .from(nodes)
    .where(
      and(eq(nodes.environmentId, environmentId), isNull(nodes.deletedAtMs), inArray(nodes.ordinal, wanted)),
    )
    .orderBy(desc(nodes.ordinal))
}

export async function findNode(db: ControlDb, environmentId: string, id: string): Promise<NodeRow | null> {
  const [row] = await db
    .select()
    .from(nodes)
    .where(and(eq(nodes.environmentId, environmentId), eq(nodes.id, id), isNull(nodes.deletedAtMs)))
    .limit(1)
  return row ?? null
}

/** The ordinal of a node, of a deleted one too; null: there is and was none here. */
export async function ordinalOfNode(
  db: ControlDb,
  environmentId: string,
  id: string,
): Promise<number | null> {
  const [row] = await db
    .select({ ordinal: nodes.ordinal })
    .from(nodes)
    .where(and(eq(nodes.environmentId, environmentId), eq(nodes.id, id)))
    .limit(1)
  return row?.ordinal ?? null
}

/** Tags by node id, each list sorted. */
export async function tagsOf(
  db: ControlDb,
  environmentId: string,
  nodeIds: readonly string[],
): Promise<Map<string, string[]>> {
  const ids = sql`(SELECT value FROM json_each(${JSON.stringify(nodeIds)}))`
  const rows = await db
    .select({ nodeId: nodeTags.nodeId, tag: nodeTags.tag })
    .from(nodeTags)
    .where(and(eq(nodeTags.environmentId, environmentId), inArray(nodeTags.nodeId, ids)))
    .orderBy(asc(nodeTags.tag))
  const tags = new Map<string, string[]>()
  for (const { nodeId, tag } of rows) tags.set(nodeId, [...(tags.get(nodeId) ?? []), tag])
  return tags
}

/** Makes a node's tags exactly these. Returns the revision. */
export async function replaceTags(
  db: ControlDb,
  note: ChangeNote,
  node: Pick<NodeRow, 'environmentId' | 'id'>,
  tags: readonly string[],
): Promise<number> {
  const { environmentId, id } = node
  const { revision } = await commitChange(db, note, 'environment', [
    deleteTags(db, node),
    // One text, because fifty rows of three would be more than D1's 100 parameters.
    db
      .insert(nodeTags)
      .select(sql`SELECT ${environmentId}, ${id}, value FROM json_each(${JSON.stringify(tags)})`),
  ])
  return revision
}

/** Makes a node a tombstone: its ordinal is revoked with the next snapshot. Returns the revision. */
export async function deleteNode(
  db: ControlDb,
  note: ChangeNote,
  node: Pick<NodeRow, 'environmentId' | 'id'>,
): Promise<number> {
  const { revision } = await commitChange(db, note, 'environment', [
    db
      .update(nodes)
      .set({ deletedAtMs: note.atMs })
      .where(
        and(eq(nodes.environmentId, node.environmentId), eq(nodes.id, node.id), isNull(nodes.deletedAtMs)),
      ),
    deleteTags(db, node),
  ])
  return revision
}

function deleteTags(db: ControlDb, node: Pick<NodeRow, 'environmentId' | 'id'>) {
  return db
    .delete(nodeTags)
    .where(and(eq(nodeTags.environmentId, node.environmentId), eq(nodeTags.nodeId, node.id)))
}

/**
 * How often nodes poll: the option `distributed_interval` of the environment's configuration, as it is written there; else
 * the longest that the server manages; null: neither says it. A brownout is not in it.
 */
export async function distributedIntervalOption(
  db: ControlDb,
  environmentId: string,
): Promise<string | number | null> {
  const [row] = await db
    .select({
      interval: sql<
        string | number | null
      >`json_extract(${configurations.document}, '$.options.distributed_interval')`,
      managed: sql<string>`(SELECT ${environments.intervals} FROM ${environments} WHERE ${environments.id} = ${environmentId})`,
    })
    .from(configurations)
    .where(
      and(
        eq(configurations.environmentId, environmentId),
        sql`${configurations.version} = ${stableVersionOf(environmentId)}`,
      ),
    )
  return row?.interval ?? longestManaged(row?.managed ?? '{}')
}

function longestManaged(text: string): number | null {
  const { base, layers } = readIntervals(text)
  if (base === null) return null
  const all = [base, ...Object.values(layers)].map((each) => each.distributed_interval ?? 0)
  return splayedInterval(Math.max(...all), SPLAY_BUCKETS - 1)
}
