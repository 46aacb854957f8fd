/** The index of carves, for operators. Agents' side of it is in carve-sync.ts and carve-links.ts. */

import { and, eq, sql, type SQL } from 'drizzle-orm'
import type { CarveState } from '../fleet/carve-request.ts'
import { timeOrderedUuid } from '../lib/bytes.ts'
import { commitChange, type ChangeNote, type ControlDb, type Statement } from './control.ts'
import { afterRow, newestFirst } from './newest-first.ts'
import { nodes } from './schema-nodes.ts'
import { carves, queries } from './schema-queries.ts'

export type CarveRow = typeof carves.$inferSelect
/** A carve with what its status depends on. */
export type CarveWithQuery = CarveRow & Pick<CarveState, 'query'>

/** A carve that is asked for, before any node knows of it. */
export interface RequestedCarve {
  environmentId: string
  queryId: string
  path: string
  nodeIds: readonly string[]
}

const WITH_QUERY = {
  carve: carves,
  query: { status: queries.status, expiresAtMs: queries.expiresAtMs, erasedAtMs: queries.erasedAtMs },
}

/** The ids of the nodes with these ordinals. As many as fit into one statement's answer. */
export async function nodeIdsOf(
  db: ControlDb,
  environmentId: string,
  ordinals: Iterable<number>,
): Promise<string[]> {
  const among = sql`(SELECT value FROM json_each(${JSON.stringify([...ordinals])}))`
  const rows = await db
    .select({ id: nodes.id })
    .from(nodes)
    .where(and(eq(nodes.environmentId, environmentId), sql`${nodes.ordinal} IN ${among}`))
    .orderBy(nodes.ordinal)
  return rows.map(({ id }) => id)
}

/** The statement that makes a row for each node, and the rows. */
export function buildCarveInsert(
  db: ControlDb,
  request: RequestedCarve,
  nowMs: number,
): { statement: Statement; rows: CarveWithQuery[] } {
  const { environmentId, queryId, path } = request
  const ids = request.nodeIds.map((nodeId) => ({ id: timeOrderedUuid(nowMs), nodeId }))
  // A thousand rows are one parameter, not D1's 100. The columns are all of the table's, in the schema's order.
  const statement = db.insert(carves).select(
    sql`SELECT json_extract(value, '$.id'), ${environmentId}, json_extract(value, '$.nodeId'), NULL, NULL, ${queryId},
      ${path}, 'requested', NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, ${nowMs}, ${nowMs}
      FROM json_each(${JSON.stringify(ids)})`,
  )
  const row = { environmentId, queryId, path, status: 'requested', createdAtMs: nowMs, updatedAtMs: nowMs }
  const empty = {
    carveId: null,
    sessionRowId: null,
    message: null,
    blocksReceived: 0,
    blockCount: null,
    blockSize: null,
    bytes: null,
    sha256: null,
    fileName: null,
    objectKey: null,
  }
  const query = { status: 'open', expiresAtMs: Number.POSITIVE_INFINITY, erasedAtMs: null }
  return { statement, rows: ids.map((id) => ({ ...row, ...empty, ...id, query })) }
}

/** Newest first; `after` is the sort key of the last row of the page before. */
export async function listCarves(
  db: ControlDb,
  environmentId: string,
  filter: { nodeId?: string | undefined; queryId?: string | undefined },
  after: readonly [number, string] | null,
  limit: number,
): Promise<CarveWithQuery[]> {
  const { createdAtMs, id } = carves
  return select(
    db,
    and(
      eq(carves.environmentId, environmentId),
      filter.nodeId === undefined ? undefined : eq(carves.nodeId, filter.nodeId),
      filter.queryId === undefined ? undefined : eq(carves.queryId, filter.queryId),
      afterRow(createdAtMs, id, after),
    ),
    limit,
  )
}

/** A carve by its id, or by the id that its upload had before a request of an operator took it over. */
export async function findCarve(
  db: ControlDb,
  environmentId: string,
  id: string,
): Promise<CarveWithQuery | null> {
  const here = eq(carves.environmentId, environmentId)
  const [row] = await select(db, and(here, eq(carves.id, id)), 1)
  if (row !== undefined) return row
  const [takenOver] = await select(db, and(here, eq(carves.sessionRowId, id)), 1)
  return takenOver ?? null
}

/** Forgets a carve. */
export async function deleteCarve(db: ControlDb, note: ChangeNote, row: CarveRow): Promise<void> {
  await commitChange(db, note, 'none', [
    db.delete(carves).where(and(eq(carves.environmentId, row.environmentId), eq(carves.id, row.id))),
  ])
}

async function select(db: ControlDb, where: SQL | undefined, limit: number): Promise<CarveWithQuery[]> {
  const rows = await db
    .select(WITH_QUERY)
    .from(carves)
    .leftJoin(queries, eq(queries.id, carves.queryId))
    .where(where)
    .orderBy(...newestFirst(carves.createdAtMs, carves.id))
    .limit(limit)
  return rows.map(({ carve, query }) => ({ ...carve, query }))
}
