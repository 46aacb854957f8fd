/**
 * Which upload belongs to which request of an operator. A request makes one row for each target, without a carve id;
 * the node's answer brings the id (spec 6.4). The upload may be known by then, with a row of its own, or come later:
 * either order ends in the same row, the requested one. Prepared SQL: no ORM on the agent plane.
 */

export interface CarveRequest {
  environmentId: string
  nodeId: string
  queryId: string
}

const UPLOADED = 'environment_id = ?1 AND node_id = ?2 AND carve_id = ?4'
const REQUESTED = `id = (SELECT id FROM carves WHERE query_id = ?3 AND node_id = ?2 AND environment_id = ?1
  AND carve_id IS NULL LIMIT 1)`

// The upload has a row already: the requested row takes its progress over. The carve id follows when it is free.
const TAKE_OVER = `UPDATE carves SET (session_row_id, status, message, blocks_received, block_count, block_size, bytes,
    sha256, file_name, object_key) =
  (SELECT id, status, message, blocks_received, block_count, block_size, bytes, sha256, file_name, object_key
   FROM carves WHERE ${UPLOADED} AND query_id IS NULL), updated_at = ?6
  WHERE ${REQUESTED} AND EXISTS (SELECT 1 FROM carves WHERE ${UPLOADED} AND query_id IS NULL)`
const DROP_TAKEN_OVER = `DELETE FROM carves WHERE ${UPLOADED} AND query_id IS NULL AND id IN
  (SELECT session_row_id FROM carves WHERE query_id = ?3 AND node_id = ?2 AND environment_id = ?1)`
// Without a session's progress the row waits for it now, whatever was said before; what was asked for stays its path.
const NAME = `UPDATE carves SET carve_id = ?4, path = COALESCE(path, ?5), updated_at = ?6,
    status = CASE WHEN session_row_id IS NULL THEN 'scheduled' ELSE status END,
    message = CASE WHEN session_row_id IS NULL THEN NULL ELSE message END
  WHERE ${REQUESTED} AND NOT EXISTS (SELECT 1 FROM carves WHERE ${UPLOADED})`
// One query can start several carves on a node: an agent that crashed before it could answer runs it again.
const ADOPT = `UPDATE carves SET query_id = ?3, path = ?5, updated_at = ?6 WHERE ${UPLOADED} AND query_id IS NULL`
const ADD = `INSERT INTO carves (id, environment_id, node_id, carve_id, query_id, path, status, created_at, updated_at)
  SELECT ?7, ?1, ?2, ?4, ?3, ?5, 'scheduled', ?6, ?6
  WHERE EXISTS (SELECT 1 FROM carves WHERE query_id = ?3 AND node_id = ?2 AND environment_id = ?1)
    AND NOT EXISTS (SELECT 1 FROM carves WHERE ${UPLOADED})`
const FAIL = `UPDATE carves SET status = 'failed', message = ?4, updated_at = ?5
  WHERE environment_id = ?1 AND node_id = ?2 AND query_id = ?3 AND carve_id IS NULL AND status = 'requested'`

/** Notes that a node answered a carve query with this carve. Idempotent. */
export async function linkCarve(
  db: D1Database,
  link: CarveRequest & { carveId: string; path: string },
  nowMs: number,
): Promise<void> {
  const { environmentId, nodeId, queryId, carveId, path } = link
  const ids = [environmentId, nodeId, queryId, carveId]
  await db.batch([
    db.prepare(TAKE_OVER).bind(...ids, null, nowMs),
    db.prepare(DROP_TAKEN_OVER).bind(...ids),
    db.prepare(NAME).bind(...ids, path, nowMs),
    db.prepare(ADOPT).bind(...ids, path, nowMs),
    db.prepare(ADD).bind(...ids, path, nowMs, crypto.randomUUID()),
  ])
}

/** Notes that a node answered a carve query without a carve: nothing matched, no carver, an error. Idempotent. */
export async function failRequestedCarve(
  db: D1Database,
  request: CarveRequest & { message: string },
  nowMs: number,
): Promise<void> {
  const { environmentId, nodeId, queryId, message } = request
  await db.prepare(FAIL).bind(environmentId, nodeId, queryId, message, nowMs).run()
}
