/** Who was seen with an address, a MAC or a user, as operators ask it. Always of one environment. */

import { sql, type SQL } from 'drizzle-orm'
import type { TraceKind } from './node-traces.ts'

/** Values from `first` to `last` of any of these kinds. */
export interface TraceRange {
  kinds: readonly TraceKind[]
  first: string
  last: string
}

/** What was erased is not shown, although its rows may still be there: SQL that is put behind rows `t`. */
export const NOT_ERASED = `t.from_at > COALESCE((SELECT until_at FROM trace_erasures
  WHERE environment_id = t.environment_id AND ordinal = -1), -1)`

/** The ordinals of nodes that have such a value now: for `ordinal IN …`. By the primary key's index. */
export function ordinalsSeenWith(environmentId: string, { kinds, first, last }: TraceRange): SQL {
  const anyOf = sql.join(
    kinds.map((kind) => sql`${kind}`),
    sql`, `,
  )
  return sql`(SELECT t.ordinal FROM node_traces AS t WHERE t.environment_id = ${environmentId} AND t.kind IN (${anyOf})
    AND t.value BETWEEN ${first} AND ${last} AND t.to_at IS NULL AND ${sql.raw(NOT_ERASED)})`
}

/** A node at an address, from when to when. */
export interface AddressRow {
  nodeId: string
  ordinal: number
  hostname: string
  kind: 'public' | 'interface'
  /** As `addressKey` makes it. */
  value: string
  fromMs: number
  /** Null: still. */
  toMs: number | null
  enrolledAtMs: number
  deletedAtMs: number | null
  /** What orders rows of one time. */
  place: string
}

const HISTORY = `SELECT n.id AS nodeId, n.ordinal, n.hostname, t.kind, t.value, t.from_at AS fromMs, t.to_at AS toMs,
    n.enrolled_at AS enrolledAtMs, n.deleted_at AS deletedAtMs, t.kind || '/' || t.value || '/' || t.ordinal AS place
  FROM node_traces AS t JOIN nodes AS n ON n.environment_id = t.environment_id AND n.ordinal = t.ordinal
  WHERE t.environment_id = ?1 AND t.kind IN ('public', 'interface') AND t.value BETWEEN ?2 AND ?3 AND ${NOT_ERASED}
    AND (?4 IS NULL OR (t.from_at <= ?4 AND (t.to_at IS NULL OR t.to_at >= ?4)))
    AND (?5 IS NULL OR t.from_at < ?5 OR (t.from_at = ?5 AND place < ?6))
  ORDER BY t.from_at DESC, place DESC LIMIT ?7`

/** Who was at addresses of a range; at a time, or ever (null). The newest first, after a place. */
export async function addressHistory(
  db: D1Database,
  environmentId: string,
  query: { first: string; last: string; atMs: number | null; after: [number, string] | null; limit: number },
): Promise<AddressRow[]> {
  const { first, last, atMs, after, limit } = query
  const { results } = await db
    .prepare(HISTORY)
    .bind(environmentId, first, last, atMs, after?.[0] ?? null, after?.[1] ?? null, limit)
    .all<AddressRow>()
  return results
}

/** What one node has now, and the other hardware UUID that was seen, if there is one. */
export interface NodeTraces {
  values: { kind: TraceKind; value: string; fromMs: number }[]
  uuidSeen: { uuid: string; atMs: number } | null
}

const OF_NODE = `SELECT n.hardware_uuid_seen AS uuid, n.hardware_uuid, n.hardware_uuid_seen_at AS uuidAtMs,
    (SELECT json_group_array(json_array(t.kind, t.value, t.from_at)) FROM node_traces AS t INDEXED BY node_traces_by_node
      WHERE t.environment_id = n.environment_id AND t.ordinal = n.ordinal AND t.to_at IS NULL AND ${NOT_ERASED}) AS traces
  FROM nodes AS n WHERE n.id = ?1`

export async function tracesOfNode(db: D1Database, nodeId: string): Promise<NodeTraces> {
  const row = await db
    .prepare(OF_NODE)
    .bind(nodeId)
    .first<{ uuid: string; hardware_uuid: string; uuidAtMs: number | null; traces: string }>()
  if (row === null) return { values: [], uuidSeen: null }
  const { uuid, hardware_uuid: enrolled, uuidAtMs } = row
  const traces = JSON.parse(row.traces) as [TraceKind, string, number][]
  return {
    values: traces
      .map(([kind, value, fromMs]) => ({ kind, value, fromMs }))
      .sort((a, b) => (`${a.kind}/${a.value}` < `${b.kind}/${b.value}` ? -1 : 1)),
    // Enroll may have brought it since.
    uuidSeen: uuid === '' || uuid === enrolled || uuidAtMs === null ? null : { uuid, atMs: uuidAtMs },
  }
}
