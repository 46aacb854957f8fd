/**
 * Nodes that were not seen for longer than their environment wants, and those that came back. Prepared SQL: it runs each
 * minute. Presence says who was seen; D1 knows no such times.
 */

import { timeOrderedUuid } from '../lib/bytes.ts'
import { NodeSet } from '../fleet/node-set.ts'

export interface ArchivingEnvironment {
  id: string
  archiveAfterDays: number
}

const DUE = `SELECT id, archive_after_days AS archiveAfterDays FROM environments
  WHERE archive_after_days > 0 AND archive_looked_at <= ?1 ORDER BY archive_looked_at LIMIT ?2`
const LOOKED = 'UPDATE environments SET archive_looked_at = ?2 WHERE id = ?1'
// By its own index: nothing is read where nobody is archived.
const WITH_ARCHIVED = `SELECT environment_id AS id, MAX(ordinal) AS highest FROM nodes INDEXED BY nodes_archived
  WHERE archived_at IS NOT NULL AND deleted_at IS NULL GROUP BY environment_id`
const SETTING = 'SELECT archive_after_days AS archiveAfterDays FROM environments WHERE id = ?1'
const ARCHIVED = `SELECT json_group_array(ordinal) AS ordinals FROM nodes INDEXED BY nodes_archived
  WHERE environment_id = ?1 AND archived_at IS NOT NULL AND deleted_at IS NULL GROUP BY ordinal / 32768`
const ACTIVE = `SELECT json_group_array(ordinal) AS ordinals FROM nodes
  WHERE environment_id = ?1 AND deleted_at IS NULL AND archived_at IS NULL AND blocked_at IS NULL
    AND pending_since IS NULL AND enrolled_at < ?2 GROUP BY ordinal / 32768`
const MEANT = 'environment_id = ?1 AND ordinal IN (SELECT value FROM json_each(?2)) AND deleted_at IS NULL'
// Who has just enrolled again was seen, though presence may not say so yet.
const ARCHIVE = `UPDATE nodes SET archived_at = ?3 WHERE ${MEANT} AND archived_at IS NULL AND blocked_at IS NULL
  AND pending_since IS NULL AND enrolled_at < ?4`
const RETURN = `UPDATE nodes SET archived_at = NULL WHERE ${MEANT} AND archived_at IS NOT NULL`
// Queries that ask nodes which enroll later look at them anew.
const ASK_ANEW = `UPDATE queries SET late_from = ?2 - 1
  WHERE environment_id = ?1 AND status = 'open' AND late_from >= ?2`
const AUDIT = `INSERT INTO audit (id, at, actor, action, environment_id, subject, detail)
  VALUES (?1, ?2, 'schedule', ?3, ?4, ?4, ?5)`

/** Environments whose nodes were not compared since a time. One statement. */
export async function environmentsToArchive(
  db: D1Database,
  lookedBeforeMs: number,
  limit: number,
): Promise<ArchivingEnvironment[]> {
  return (await db.prepare(DUE).bind(lookedBeforeMs, limit).all<ArchivingEnvironment>()).results
}

export async function noteArchivingLooked(
  db: D1Database,
  environmentId: string,
  nowMs: number,
): Promise<void> {
  await db.prepare(LOOKED).bind(environmentId, nowMs).run()
}

/** Environments with archived nodes, and the highest ordinal of those. One statement. */
export async function environmentsWithArchived(db: D1Database): Promise<{ id: string; highest: number }[]> {
  return (await db.prepare(WITH_ARCHIVED).all<{ id: string; highest: number }>()).results
}

/** After how many days an environment archives; 0: not any more. */
export async function archiveAfterDays(db: D1Database, environmentId: string): Promise<number> {
  const row = await db.prepare(SETTING).bind(environmentId).first<{ archiveAfterDays: number }>()
  return row?.archiveAfterDays ?? 0
}

export function archivedNodes(db: D1Database, environmentId: string): Promise<NodeSet> {
  return ordinalsOf(db.prepare(ARCHIVED).bind(environmentId))
}

/** Active nodes whose newest enroll is older than a time. */
export function activeNodesEnrolledBefore(
  db: D1Database,
  environmentId: string,
  atMs: number,
): Promise<NodeSet> {
  return ordinalsOf(db.prepare(ACTIVE).bind(environmentId, atMs))
}

/** Archives nodes, with the audit row. Those that enrolled since the cutoff stay. */
export async function archiveNodes(
  db: D1Database,
  environmentId: string,
  ordinals: readonly number[],
  { nowMs, cutoffMs }: { nowMs: number; cutoffMs: number },
): Promise<void> {
  await db.batch([
    db.prepare(ARCHIVE).bind(environmentId, JSON.stringify(ordinals), nowMs, cutoffMs),
    auditRow(db, environmentId, 'nodes.archive', ordinals, nowMs),
  ])
}

/** Makes archived nodes active again, with the audit row. */
export async function returnNodes(
  db: D1Database,
  environmentId: string,
  ordinals: readonly number[],
  nowMs: number,
): Promise<void> {
  const [lowest] = ordinals
  if (lowest === undefined) return
  await db.batch([
    db.prepare(RETURN).bind(environmentId, JSON.stringify(ordinals)),
    db.prepare(ASK_ANEW).bind(environmentId, lowest),
    auditRow(db, environmentId, 'nodes.return', ordinals, nowMs),
  ])
}

function auditRow(
  db: D1Database,
  environmentId: string,
  action: string,
  ordinals: readonly number[],
  nowMs: number,
): D1PreparedStatement {
  const detail = JSON.stringify({ nodes: ordinals.length, ordinals: ordinals.slice(0, 1_000) })
  return db.prepare(AUDIT).bind(timeOrderedUuid(nowMs), nowMs, action, environmentId, detail)
}

async function ordinalsOf(statement: D1PreparedStatement): Promise<NodeSet> {
  const { results } = await statement.all<{ ordinals: string }>()
  return NodeSet.of(results.flatMap(({ ordinals }) => JSON.parse(ordinals) as number[]))
}
