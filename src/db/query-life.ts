/** How the environment's object closes queries in D1: the end of a query is its own change of revision. */

const CLOSE = `UPDATE queries SET status = ?3, closed_at = ?4
  WHERE environment_id = ?1 AND number = ?2 AND status = 'open'`
const RAISE = `UPDATE environments SET revision = revision + 1 WHERE id = ?1`

/** Closes open queries as complete or expired. A query that was stopped meanwhile stays stopped. */
export async function closeQueries(
  db: D1Database,
  environmentId: string,
  closed: readonly { number: number; status: 'complete' | 'expired' }[],
  nowMs: number,
): Promise<void> {
  await db.batch([
    ...closed.map(({ number, status }) => db.prepare(CLOSE).bind(environmentId, number, status, nowMs)),
    db.prepare(RAISE).bind(environmentId),
  ])
}

/** Forgets a query whose answers are erased everywhere. */
export async function forgetQuery(db: D1Database, environmentId: string, number: number): Promise<void> {
  await db.batch([
    db
      .prepare('DELETE FROM query_targets WHERE environment_id = ?1 AND number = ?2')
      .bind(environmentId, number),
    db
      .prepare('DELETE FROM queries WHERE environment_id = ?1 AND number = ?2 AND erased_at IS NOT NULL')
      .bind(environmentId, number),
  ])
}

/** Queries that an operator erased and whose answers may still lie in shards. */
export async function listErased(
  db: D1Database,
  environmentId: string,
): Promise<{ number: number; shards: number }[]> {
  const { results } = await db
    .prepare('SELECT number, shards FROM queries WHERE environment_id = ?1 AND erased_at IS NOT NULL')
    .bind(environmentId)
    .all<{ number: number; shards: number }>()
  return results
}

/** What D1 says of a query; null where it is erased or was never there. */
export async function readQueryFate(
  db: D1Database,
  environmentId: string,
  number: number,
): Promise<QueryFate | null> {
  return db
    .prepare(
      'SELECT status, targeted FROM queries WHERE environment_id = ?1 AND number = ?2 AND erased_at IS NULL',
    )
    .bind(environmentId, number)
    .first<QueryFate>()
}

export interface QueryFate {
  status: 'open' | 'complete' | 'stopped' | 'expired'
  /** Nodes that enrolled since may be among them. */
  targeted: number
}
