/**
 * What D1 notes of the results of closed queries, and how the environment's object takes them from one stage to the
 * next. Each statement may be repeated.
 */

import type { AnswerCounts } from '../queries/answer.ts'

/** The stages of migration 0012. */
const STAGE = { open: 0, moving: 1, erasing: 2, erased: 3 } as const
const DAY_MS = 86_400_000

// `closed_at > 0` lets SQLite take the index of those that are closed.
const CLOSED = `environment_id = ?1 AND closed_at > 0 AND erased_at IS NULL`
const TO_HAND_OVER = `SELECT number, shards FROM queries
  WHERE ${CLOSED} AND results_stage = ${STAGE.open} LIMIT ?2`
const TO_ERASE = `SELECT number, shards, results_stage = ${STAGE.moving} AS isToCount FROM queries
  WHERE ${CLOSED} AND (results_stage = ${STAGE.erasing} OR (results_stage = ${STAGE.moving} AND closed_at <= ?2 -
    (SELECT results_retention_days FROM environments WHERE id = ?1) * ${DAY_MS})) LIMIT ?3`

export interface ClosedQuery {
  number: number
  shards: number
}

export interface ExpiredQuery extends ClosedQuery {
  /** Its counts are not kept yet: the shards still have all of its answers. */
  isToCount: boolean
}

/** Closed queries whose shards were not told. */
export async function listToHandOver(
  db: D1Database,
  environmentId: string,
  limit: number,
): Promise<ClosedQuery[]> {
  return (await db.prepare(TO_HAND_OVER).bind(environmentId, limit).all<ClosedQuery>()).results
}

/** The shards of these queries know that they are closed. */
export async function markHandedOver(
  db: D1Database,
  environmentId: string,
  numbers: readonly number[],
): Promise<void> {
  const mark = `UPDATE queries SET results_stage = ${STAGE.moving}
    WHERE environment_id = ?1 AND results_stage = ${STAGE.open} AND number IN (SELECT value FROM json_each(?2))`
  await db.prepare(mark).bind(environmentId, JSON.stringify(numbers)).run()
}

/** Queries whose results are to be erased: closed for as many days as the environment keeps them. */
export async function listExpiredResults(
  db: D1Database,
  environmentId: string,
  nowMs: number,
  limit: number,
): Promise<ExpiredQuery[]> {
  const { results } = await db
    .prepare(TO_ERASE)
    .bind(environmentId, nowMs, limit)
    .all<ClosedQuery & { isToCount: number }>()
  return results.map((row) => ({ ...row, isToCount: row.isToCount === 1 }))
}

/** From now on the results are gone for operators; the counts stay. */
export async function beginErasure(
  db: D1Database,
  environmentId: string,
  number: number,
  counts: AnswerCounts,
  nowMs: number,
): Promise<void> {
  const begin = `UPDATE queries SET results_stage = ${STAGE.erasing}, final_counts = ?3, results_erased_at = ?4
    WHERE environment_id = ?1 AND number = ?2 AND results_stage = ${STAGE.moving}`
  await db.prepare(begin).bind(environmentId, number, JSON.stringify(counts), nowMs).run()
}

/** Nothing is left of the results; nor are the targets needed any more. */
export async function endErasure(db: D1Database, environmentId: string, number: number): Promise<void> {
  await db.batch([
    db
      .prepare('DELETE FROM query_targets WHERE environment_id = ?1 AND number = ?2')
      .bind(environmentId, number),
    db
      .prepare(
        `UPDATE queries SET results_stage = ${STAGE.erased}
         WHERE environment_id = ?1 AND number = ?2 AND results_stage = ${STAGE.erasing}`,
      )
      .bind(environmentId, number),
  ])
}
