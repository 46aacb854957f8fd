/** How a session tells the index of carves in D1 what has come of it. Prepared SQL: no ORM on the agent plane. */

import type { CarveProgress } from '../carves/carve-session.ts'
import type { SessionCarve, SessionOutcome } from '../carves/session-store.ts'
import { archiveFileName } from '../fleet/carve-file-name.ts'

const HOSTNAME = 'SELECT hostname FROM nodes WHERE id = ?1'
// A row that an operator's request made keeps its id, query, path and time.
const UPSERT = `INSERT INTO carves (id, environment_id, node_id, carve_id, status, message, blocks_received, block_count,
    block_size, bytes, sha256, file_name, object_key, created_at, updated_at)
  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
  ON CONFLICT DO UPDATE SET
    session_row_id = CASE WHEN id = excluded.id THEN session_row_id ELSE excluded.id END,
    status = excluded.status, message = excluded.message, blocks_received = excluded.blocks_received,
    block_count = excluded.block_count, block_size = excluded.block_size, bytes = excluded.bytes,
    sha256 = excluded.sha256, file_name = excluded.file_name, object_key = excluded.object_key,
    updated_at = excluded.updated_at`

/**
 * Writes a session's progress to its carve's row; a carve that no operator asked for, or whose query has not told of
 * it yet, gets a row of its own. Idempotent.
 */
export async function syncCarve(
  db: D1Database,
  carve: SessionCarve,
  progress: CarveProgress,
  outcome: SessionOutcome | null,
  nowMs: number,
): Promise<void> {
  const isComplete = progress.status === 'complete'
  const fileName = isComplete
    ? archiveFileName(await hostnameOf(db, carve.nodeId), carve.carveId, outcome?.isZstd ?? false)
    : null
  await db
    .prepare(UPSERT)
    .bind(
      carve.rowId,
      carve.environmentId,
      carve.nodeId,
      carve.carveId,
      progress.status,
      progress.message,
      progress.blocksReceived,
      progress.blockCount,
      carve.plan.blockSize,
      progress.bytes,
      progress.sha256,
      fileName,
      isComplete ? carve.objectKey : null,
      carve.createdAtMs,
      nowMs,
    )
    .run()
}

async function hostnameOf(db: D1Database, nodeId: string): Promise<string> {
  return (await db.prepare(HOSTNAME).bind(nodeId).first<string>('hostname')) ?? nodeId
}
