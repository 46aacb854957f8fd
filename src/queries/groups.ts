/** Counts a query's rows over the fleet by the values of columns. */

import { Pace } from '../lib/pace.ts'
import { ROWS_PER_TURN } from './constants.ts'
import type { QueryPlace } from './read.ts'
import { columnsOf, type RowFilter } from './row-filter.ts'
import { walkRows } from './walk.ts'

/** Groups that are kept apart: some 20 MB of an isolate's 128 MB. */
const MAX_GROUPS = 50_000
/** After this a count ends where it is: operators wait 20 s at most. */
const COUNT_WITHIN_MS = 14_000

export interface RowGroup {
  /** In the order of the columns asked for; null where a row has no such column. */
  values: (string | null)[]
  rows: number
  nodes: number
}

export interface RowGroups {
  /** Most rows first. */
  groups: RowGroup[]
  rows: number
  nodes: number
  /** False where time or memory ended first: then the counts are too low. */
  complete: boolean
}

/** Groups the rows that match by these columns. */
export async function groupRows(
  env: Env,
  environmentId: string,
  query: QueryPlace,
  columns: readonly string[],
  filter: RowFilter,
): Promise<RowGroups> {
  const startedAtMs = Date.now()
  const groups = new Map<string, RowGroup>()
  const counted = { rows: 0, nodes: 0, complete: true }
  const pace = new Pace(ROWS_PER_TURN)
  for await (const answers of walkRows(env, environmentId, query, filter)) {
    for (const { rows } of answers) {
      counted.nodes += 1
      counted.rows += rows.length
      // A node has one answer, so each group of an answer is one node more.
      const seen = new Set<RowGroup>()
      for (let from = 0; from < rows.length; from += ROWS_PER_TURN) {
        const some = rows.slice(from, from + ROWS_PER_TURN)
        if (!addRows(groups, seen, some, columns)) counted.complete = false
        await pace.after(some.length)
      }
    }
    if (Date.now() - startedAtMs > COUNT_WITHIN_MS) {
      counted.complete = false
      break
    }
  }
  return { groups: [...groups.values()].sort((a, b) => b.rows - a.rows), ...counted }
}

/** Adds some rows of an answer; `seen` has the groups that it is counted in. False where there was no room for a group. */
function addRows(
  groups: Map<string, RowGroup>,
  seen: Set<RowGroup>,
  rows: readonly string[],
  columns: readonly string[],
): boolean {
  let hasRoom = true
  for (const row of rows) {
    const present = columnsOf(row)
    const values = columns.map((column) => present.get(column) ?? null)
    const key = JSON.stringify(values)
    let group = groups.get(key)
    if (group === undefined) {
      if (groups.size >= MAX_GROUPS) {
        hasRoom = false
        continue
      }
      group = { values, rows: 0, nodes: 0 }
      groups.set(key, group)
    }
    group.rows += 1
    if (!seen.has(group)) {
      seen.add(group)
      group.nodes += 1
    }
  }
  return hasRoom
}
