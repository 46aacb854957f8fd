/**
 * Ends of what nodes were seen with: erasures, which operators ask for, and retention. A node's rows go at once; those of
 * a whole environment are hidden at once and deleted by the cron duty, because D1 gives a statement 30 s.
 */

import { and, eq, sql } from 'drizzle-orm'
import type { ControlDb, Statement } from './control.ts'
import { nodes, nodeTraces, traceErasures } from './schema-nodes.ts'

/** Stands for all nodes of an environment. */
const ALL = -1
/** Rows that one statement deletes: each is a row of the table and of two indexes. */
const ROWS_AT_ONCE = 5_000
/** Statements of one run of the duty, so that a minute is enough for it. */
const MAX_STATEMENTS = 10
/** Retention is looked at when the minute of the hour is a multiple of this. */
const RETENTION_EVERY_MINUTES = 10
const DAY_MS = 86_400_000
const KEY = 'environment_id, kind, value, ordinal, from_at'

/** Erases what a node (null: any node) was seen with until a time; for a batch. */
export function eraseTraces(
  db: ControlDb,
  environmentId: string,
  ordinal: number | null,
  untilMs: number,
): Statement[] {
  const noted = db
    .insert(traceErasures)
    .values({
      environmentId,
      ordinal: ordinal ?? ALL,
      untilMs,
      finishedMs: ordinal === null ? null : untilMs,
    })
    .onConflictDoUpdate({
      target: [traceErasures.environmentId, traceErasures.ordinal],
      set: { untilMs: sql`MAX(until_at, excluded.until_at)`, finishedMs: sql`excluded.finished_at` },
    })
  if (ordinal === null) return [noted]
  return [
    noted,
    // Without statistics SQLite would walk through the traces of the whole environment.
    db.delete(nodeTraces).where(sql`(${sql.raw(KEY)}) IN (
      SELECT ${sql.raw(KEY)} FROM node_traces INDEXED BY node_traces_by_node
      WHERE environment_id = ${environmentId} AND ordinal = ${ordinal} AND from_at <= ${untilMs})`),
    db
      .update(nodes)
      .set({ hardwareUuidSeen: '', hardwareUuidSeenAtMs: null })
      .where(and(eq(nodes.environmentId, environmentId), eq(nodes.ordinal, ordinal))),
  ]
}

const DELETE_ERASED = `DELETE FROM node_traces WHERE (${KEY}) IN (SELECT ${KEY} FROM node_traces
  WHERE environment_id = ?1 AND from_at <= ?2 LIMIT ${ROWS_AT_ONCE})`
const DELETE_ENDED = `DELETE FROM node_traces WHERE (${KEY}) IN (
  SELECT t.environment_id, t.kind, t.value, t.ordinal, t.from_at FROM json_each(?1) AS e CROSS JOIN node_traces AS t
  WHERE t.environment_id = e.value ->> 0 AND t.to_at IS NOT NULL AND t.to_at < e.value ->> 1 LIMIT ${ROWS_AT_ONCE})`

/** The cron duty: one statement a minute where there is nothing to do. */
export async function forgetTraces(env: Pick<Env, 'DB'>, nowMs: number): Promise<void> {
  const { results } = await env.DB.prepare(
    'SELECT environment_id AS id, until_at AS untilMs FROM trace_erasures WHERE finished_at IS NULL LIMIT 10',
  ).all<{ id: string; untilMs: number }>()
  const budget = { statements: MAX_STATEMENTS }
  for (const { id, untilMs } of results) {
    const isAll = await deleteAll(env.DB.prepare(DELETE_ERASED).bind(id, untilMs), budget)
    if (!isAll) return
    await env.DB.prepare(
      `UPDATE trace_erasures SET finished_at = ?3 WHERE environment_id = ?1 AND ordinal = ${ALL} AND until_at = ?2`,
    )
      .bind(id, untilMs, nowMs)
      .run()
  }
  if (new Date(nowMs).getUTCMinutes() % RETENTION_EVERY_MINUTES === 0)
    await endRetention(env.DB, nowMs, budget)
}

async function endRetention(db: D1Database, nowMs: number, budget: Budget): Promise<void> {
  const { results } = await db
    .prepare('SELECT id, traces_retention_days AS days FROM environments')
    .all<{ id: string; days: number }>()
  const limits = results.map(({ id, days }) => [id, nowMs - days * DAY_MS])
  await deleteAll(db.prepare(DELETE_ENDED).bind(JSON.stringify(limits)), budget)
}

interface Budget {
  statements: number
}

/** Whether all is gone; else the budget is used up, and the next run goes on. */
async function deleteAll(statement: D1PreparedStatement, budget: Budget): Promise<boolean> {
  while (budget.statements > 0) {
    budget.statements -= 1
    const { meta } = await statement.run()
    if (meta.changes < ROWS_AT_ONCE) return true
  }
  return false
}
