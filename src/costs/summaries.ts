/** Reads an object's sums: a page of names, their versions, over some days. */

import type { SummaryRequest, VersionSummary } from './kinds.ts'
import { compare, type IndexedQuery, type QueryIndex } from './query-index.ts'
import { TALLIES_PER_ROW, talliesOfRow } from './tally-row.ts'
import { addTally, emptyTally, type QueryTally } from './tally.ts'

export function summariesOf(sql: SqlStorage, index: QueryIndex, request: SummaryRequest): VersionSummary[] {
  const chosen = chosenOf(index, request)
  const wanted = new Map(chosen.map(({ id }) => [id, emptyTally()]))
  for (const chunk of new Set(chosen.map(({ id }) => Math.floor(id / TALLIES_PER_ROW)))) {
    const rows = sql.exec<{ tallies: ArrayBuffer }>(
      'SELECT tallies FROM days WHERE chunk = ? AND day BETWEEN ? AND ?',
      chunk,
      request.fromDay,
      request.throughDay,
    )
    for (const { tallies } of rows) addUp(wanted, talliesOfRow(new Uint8Array(tallies)))
  }
  return chosen.map(({ id, ...version }) => ({ ...version, tally: wanted.get(id) ?? emptyTally() }))
}

function chosenOf(index: QueryIndex, { name, after, limit }: SummaryRequest): IndexedQuery[] {
  const chosen: IndexedQuery[] = []
  const names = new Set<string>()
  for (const query of index.sorted()) {
    if (name === null ? compare(query.name, after) <= 0 : query.name !== name) continue
    names.add(query.name)
    if (names.size > limit) break
    chosen.push(query)
  }
  return chosen
}

function addUp(wanted: ReadonlyMap<number, QueryTally>, tallies: ReadonlyMap<number, QueryTally>): void {
  for (const [id, tally] of tallies) {
    const sum = wanted.get(id)
    if (sum !== undefined) addTally(sum, tally)
  }
}
