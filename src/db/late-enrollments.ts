/** Open queries that ask nodes which enroll later, and those nodes. Prepared SQL: it runs each minute. */

import { NodeSet } from '../fleet/node-set.ts'

export interface LateQuery {
  environmentId: string
  number: number
  shards: number
  /** JSON. */
  targets: string
  /** Nodes above this ordinal were not looked at yet. */
  lateFrom: number
  /** The highest ordinal now. */
  highestOrdinal: number
}

const WAITING = `SELECT q.environment_id AS environmentId, q.number, q.shards, q.targets, q.late_from AS lateFrom,
    (SELECT MAX(ordinal) FROM nodes AS n WHERE n.environment_id = q.environment_id) AS highestOrdinal
  FROM queries AS q INDEXED BY queries_with_late_nodes
  WHERE q.late_from IS NOT NULL AND q.status = 'open' AND q.erased_at IS NULL AND q.expires_at > ?1
    AND q.late_from < (SELECT MAX(ordinal) FROM nodes AS n WHERE n.environment_id = q.environment_id)
  LIMIT ?2`
const CHUNK = `INSERT INTO query_targets (environment_id, number, chunk, bits) VALUES (?1, ?2, ?3, ?4)
  ON CONFLICT (environment_id, number, chunk) DO UPDATE SET bits = excluded.bits`
const CHUNKS = `SELECT chunk, bits FROM query_targets WHERE environment_id = ?1 AND number = ?2`
// Nodes that were approved or came back meanwhile have it look at lower ordinals again: that stays.
const LOOKED = `UPDATE queries SET late_from = CASE WHEN late_from = ?3 THEN ?4 ELSE late_from END,
    targeted = COALESCE(?5, targeted) WHERE environment_id = ?1 AND number = ?2`
const RAISE = `UPDATE environments SET revision = revision + 1 WHERE id = ?1 RETURNING revision`

/** The queries of which some environment has nodes that they were not looked up for. One statement. */
export async function queriesWithLateNodes(
  db: D1Database,
  nowMs: number,
  limit: number,
): Promise<LateQuery[]> {
  const { results } = await db.prepare(WAITING).bind(nowMs, limit).all<LateQuery>()
  return results
}

/** The targets of a query as D1 has them. */
export async function targetsOfQuery(
  db: D1Database,
  { environmentId, number }: Pick<LateQuery, 'environmentId' | 'number'>,
): Promise<NodeSet> {
  const { results } = await db
    .prepare(CHUNKS)
    .bind(environmentId, number)
    .all<{ chunk: number; bits: ArrayLike<number> }>()
  return NodeSet.ofChunks(results.map(({ chunk, bits }) => ({ chunk, bits: Uint8Array.from(bits) })))
}

/** Notes that the nodes up to the highest ordinal were looked at, and the targets with those of them that are meant. */
export async function noteLateTargets(
  db: D1Database,
  query: LateQuery,
  targets: NodeSet | null,
): Promise<number | null> {
  const { environmentId, number, lateFrom, highestOrdinal } = query
  const looked = (targeted: number | null) =>
    db.prepare(LOOKED).bind(environmentId, number, lateFrom, highestOrdinal, targeted)
  if (targets === null) {
    await looked(null).run()
    return null
  }
  const results = await db.batch<{ revision: number }>([
    ...targets.chunks().map(({ chunk, bits }) => db.prepare(CHUNK).bind(environmentId, number, chunk, bits)),
    looked(targets.size),
    db.prepare(RAISE).bind(environmentId),
  ])
  return results.at(-1)?.results[0]?.revision ?? null
}
