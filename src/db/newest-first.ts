/** Lists that are read newest first, page by page, by time and then by id. */

import { and, desc, eq, lt, or, type AnyColumn, type SQL } from 'drizzle-orm'

/** The sort key of a row: the last one of the page before, or null for the first page. */
export type NewestFirstKey = readonly [createdAtMs: number, id: string] | null

/** What comes after this row in that order; no condition for the first page. */
export function afterRow(createdAtMs: AnyColumn, id: AnyColumn, after: NewestFirstKey): SQL | undefined {
  if (after === null) return undefined
  return or(lt(createdAtMs, after[0]), and(eq(createdAtMs, after[0]), lt(id, after[1])))
}

/** That order. */
export function newestFirst(createdAtMs: AnyColumn, id: AnyColumn): [SQL, SQL] {
  return [desc(createdAtMs), desc(id)]
}
