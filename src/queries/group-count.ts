/**
 * Rows counted by the values of columns, answer after answer in the order of their arrival. Answers never change, so what
 * was counted up to one is right for ever: a count goes on where it was, also after a restart. Pure but for compression.
 */

import { textOf, utf8, type Bytes } from '../lib/bytes.ts'
import { gunzip, gzip } from '../lib/compression.ts'
import { columnsOf } from './row-filter.ts'

/** Groups that are kept apart, and characters of their values: some 20 MB of an isolate's 128 MB. */
const MAX_GROUPS = 50_000
const MAX_GROUP_CHARACTERS = 4 * 1_024 * 1_024
/** A count as JSON: three bytes for each character at most, and the numbers. */
const MAX_COUNT_BYTES = 4 * MAX_GROUP_CHARACTERS
const FORMAT = 1

export interface RowGroup {
  /** In the order of the columns asked for; null where a row has no such column. */
  values: (string | null)[]
  rows: number
  nodes: number
}

export class GroupCount {
  readonly #columns: readonly string[]
  readonly #groups = new Map<string, RowGroup>()
  #characters = 0
  /** The arrival up to which a shard's answers are counted. */
  upTo = 0
  rows = 0
  nodes = 0
  /** False where there was no room for a group: then the counts are too low. */
  hasRoom = true

  constructor(columns: readonly string[]) {
    this.#columns = columns
  }

  get groups(): RowGroup[] {
    return [...this.#groups.values()]
  }

  /** Adds some rows of one answer; `seen` has the groups that it is counted in already. */
  addRows(rows: readonly string[], seen: Set<RowGroup>): void {
    this.rows += rows.length
    for (const row of rows) {
      const present = columnsOf(row)
      const group = this.#groupOf(this.#columns.map((column) => present.get(column) ?? null))
      if (group === null) continue
      group.rows += 1
      if (seen.has(group)) continue
      seen.add(group)
      group.nodes += 1
    }
  }

  /** Adds what another shard's answers come to: no node is in both. */
  addCount(other: GroupCount): void {
    this.rows += other.rows
    this.nodes += other.nodes
    this.hasRoom &&= other.hasRoom
    for (const { values, rows, nodes } of other.#groups.values()) {
      const group = this.#groupOf(values)
      if (group === null) continue
      group.rows += rows
      group.nodes += nodes
    }
  }

  /** A gzip member. */
  toBytes(): Promise<Bytes> {
    const { upTo, rows, nodes, hasRoom } = this
    const groups = this.groups.map((group) => [group.rows, group.nodes, ...group.values])
    return gzip(utf8(JSON.stringify([FORMAT, upTo, rows, nodes, hasRoom, groups])))
  }

  /** Reads what was kept for these columns; an empty count where it is of another format. */
  static async fromBytes(bytes: Bytes, columns: readonly string[]): Promise<GroupCount> {
    const count = new GroupCount(columns)
    const plain = await gunzip(bytes, MAX_COUNT_BYTES)
    if (!plain.ok) throw new Error('a count that we stored does not inflate')
    const stored = JSON.parse(textOf(plain.value)) as Stored
    if (stored[0] !== FORMAT) return count
    const [, upTo, rows, nodes, hasRoom, groups] = stored
    Object.assign(count, { upTo, rows, nodes, hasRoom })
    for (const [groupRows, groupNodes, ...values] of groups) {
      const group = count.#groupOf(values)
      if (group !== null) Object.assign(group, { rows: groupRows, nodes: groupNodes })
    }
    return count
  }

  #groupOf(values: (string | null)[]): RowGroup | null {
    const key = JSON.stringify(values)
    const known = this.#groups.get(key)
    if (known !== undefined) return known
    if (this.#groups.size >= MAX_GROUPS || this.#characters + key.length > MAX_GROUP_CHARACTERS) {
      this.hasRoom = false
      return null
    }
    this.#characters += key.length
    const group = { values, rows: 0, nodes: 0 }
    this.#groups.set(key, group)
    return group
  }
}

type Stored = [
  format: number,
  upTo: number,
  rows: number,
  nodes: number,
  hasRoom: boolean,
  groups: [rows: number, nodes: number, ...values: (string | null)[]][],
]
