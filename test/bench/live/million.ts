/**
 * Operators who read a query with very many rows: the first page, counts by a column while agents go on writing, and all
 * rows as CSV. Beside it a query with a hundredth of the rows, so that what grows can be seen.
 */

import { tallied } from '../meter/agents.ts'
import type { BenchNode } from '../nodes.ts'
import type { BenchServer } from '../server.ts'
import { useOf } from '../workerd-process.ts'
import { takeTally } from './counts.ts'
import { each, Fleet, pause } from './fleet.ts'
import { NAMES, rowsOfNode } from './rows.ts'

const AT_ONCE = 8
const PAGE_ROWS = 100
/** Agents that write while rows are counted answer with so many. */
const WRITTEN_ROWS = 20
const SHARE = 100

export interface MillionResult {
  rows: number
  /** Rows of the small query. */
  fewRows: number
  page: { all: PageCost; few: PageCost }
  groups: GroupResult
  csv: CsvResult
  retries: number
}

export interface PageCost {
  tookMs: number[]
  /** Rows that the shards' SQLite read for one page. */
  rowsRead: number
}

export interface GroupResult {
  tookMs: number[]
  /** Groups, rows or nodes that were not as they should be, in all of them. */
  miscounted: number
  /** Requests that ended before the rows did: the next one counted on. */
  incomplete: number
  /** Compressed bytes' worth of answers that a shard handed over at once, on average. */
  answersPerCall: number
  /**
   * What a write took: with nobody reading, to the shards that are read, and meanwhile to other shards, which share
   * nothing with them but this process.
   */
  writeMs: { quiet: number[]; same: number[]; other: number[] }
}

export interface CsvResult {
  lines: number
  bytes: number
  seconds: number
  /** Resident memory before, and at most meanwhile. */
  residentBytes: { before: number; most: number }
}

export async function runMillion(server: BenchServer, short: boolean): Promise<MillionResult> {
  const fleet = await Fleet.make(server, 'million', short ? 100 : 1_000)
  const others = await Fleet.make(server, 'others', fleet.nodes.length)
  const rowsPerNode = short ? 500 : 1_000
  const all = await fleet.operator.openQuery({ all: true }, 3_600, 'all')
  // One answer for each shard at least, so that a page asks the same of both.
  const few = fleet.nodes.slice(0, Math.max(8, fleet.nodes.length / SHARE))
  const small = await fleet.operator.openQuery({ nodes: few.map(({ nodeId }) => nodeId) }, 3_600, 'few')
  await each(fleet.nodes, AT_ONCE, async (node) => {
    await fleet.write(node, Object.keys(await fleet.readWork(node)), rowsOfNode(node.ordinal, rowsPerNode))
  })
  const rows = fleet.nodes.length * rowsPerNode
  const page = await measurePages(server, fleet, { all: all.id, few: small.id }, short ? 11 : 31)
  const groups = await measureGroups(server, fleet, others, all.id, rows, short)
  const csv = await measureCsv(server, fleet, all.id)
  return {
    rows,
    fewRows: few.length * rowsPerNode,
    page,
    groups,
    csv,
    retries: fleet.retries + others.retries,
  }
}

/** One page of each in turn, so that whatever else happens on this machine happens to both. */
async function measurePages(
  server: BenchServer,
  { operator }: Fleet,
  ids: Record<'all' | 'few', string>,
  rounds: number,
): Promise<Record<'all' | 'few', PageCost>> {
  const costs = { all: { tookMs: [] as number[], rowsRead: 0 }, few: { tookMs: [] as number[], rowsRead: 0 } }
  for (let round = 0; round < rounds; round += 1) {
    for (const which of ['all', 'few'] as const) {
      await takeTally(server)
      const startedAtMs = performance.now()
      const path = `/queries/${ids[which]}/results?limit=${PAGE_ROWS}`
      const { items } = await operator.get<{ items: unknown[] }>(path)
      costs[which].tookMs.push(performance.now() - startedAtMs)
      if (items.length !== PAGE_ROWS) throw new Error(`a page of ${items.length} rows`)
      const tally = await takeTally(server)
      costs[which].rowsRead += tallied(tally, 'object AnswerShard.recordsWithRows', 'sql.rowsRead') / rounds
    }
  }
  return costs
}

async function measureGroups(
  server: BenchServer,
  fleet: Fleet,
  others: Fleet,
  queryId: string,
  rows: number,
  short: boolean,
): Promise<GroupResult> {
  const count = short ? 40 : 300
  const result: GroupResult = {
    tookMs: [],
    miscounted: 0,
    incomplete: 0,
    answersPerCall: 0,
    writeMs: { quiet: [], same: [], other: [] },
  }
  const same = await prepareWrites(fleet, 2 * count)
  const other = await prepareWrites(others, 2 * count)
  const timed = async (write: () => Promise<void>, into: number[]) => {
    const startedAtMs = performance.now()
    await write()
    into.push(performance.now() - startedAtMs)
  }
  for (const write of same.splice(0, count)) await timed(write, result.writeMs.quiet)
  for (const write of other.splice(0, count)) await write()
  await takeTally(server)
  const counting = new Counting(fleet, queryId, rows, result)
  const running = counting.run()
  for (const [index, write] of same.entries()) {
    // In turn first and second.
    const pair = [
      () => timed(write, result.writeMs.same),
      () => timed(other[index] ?? write, result.writeMs.other),
    ]
    for (const one of index % 2 === 0 ? pair : pair.reverse()) await one()
    await pause(5)
  }
  counting.stop()
  await running
  const tally = await takeTally(server)
  const calls = tallied(tally, '', 'do AnswerShard.arrivals')
  result.answersPerCall = (result.tookMs.length * fleet.nodes.length) / calls
  return result
}

interface Groups {
  groups: number
  rows: number
  nodes: number
  continues: boolean
}

/** Counts by a column again and again. */
class Counting {
  #isOver = false
  readonly #fleet: Fleet
  readonly #queryId: string
  readonly #rows: number
  readonly #result: GroupResult

  constructor(fleet: Fleet, queryId: string, rows: number, result: GroupResult) {
    this.#fleet = fleet
    this.#queryId = queryId
    this.#rows = rows
    this.#result = result
  }

  async run(): Promise<void> {
    while (!this.#isOver || this.#result.tookMs.length === 0) {
      const startedAtMs = performance.now()
      const { groups, rows, nodes } = await this.#counted()
      this.#result.tookMs.push(performance.now() - startedAtMs)
      const isRight = groups === NAMES && rows === this.#rows && nodes === this.#fleet.nodes.length
      if (!isRight) this.#result.miscounted += 1
    }
  }

  /** Counts to the end, in as many requests as it takes. A column that no row has makes it another count each time. */
  async #counted(): Promise<Groups> {
    const path = `/queries/${this.#queryId}/groups?by=name&by=none-${this.#result.tookMs.length}`
    for (;;) {
      const groups = await this.#fleet.operator.get<Groups>(path)
      if (!groups.continues) return groups
      this.#result.incomplete += 1
    }
  }

  stop(): void {
    this.#isOver = true
  }
}

/** Answers that only have to be sent: so many of one fleet, each to one query. */
async function prepareWrites(fleet: Fleet, count: number): Promise<(() => Promise<void>)[]> {
  const writes: (() => Promise<void>)[] = []
  const queries = Math.ceil(count / fleet.nodes.length)
  for (let i = 0; i < queries; i += 1) await fleet.operator.openQuery({ all: true }, 3_600, `write ${i}`)
  await each(fleet.nodes, AT_ONCE, async (node) => {
    for (const id of await offeredIds(fleet, node, queries))
      writes.push(() => fleet.write(node, [id], rowsOfNode(node.ordinal, WRITTEN_ROWS)))
  })
  return writes.slice(0, count)
}

/** Reads until so many were offered: isolates hear of them one after the other. */
async function offeredIds(fleet: Fleet, node: BenchNode, count: number): Promise<string[]> {
  const ids = new Set<string>()
  while (ids.size < count) for (const id of Object.keys(await fleet.readWork(node))) ids.add(id)
  return [...ids]
}

async function measureCsv(server: BenchServer, { operator }: Fleet, queryId: string): Promise<CsvResult> {
  const resident = () => useOf(server.workerdPid)?.residentBytes ?? Number.NaN
  const residentBytes = { before: resident(), most: resident() }
  const startedAtMs = performance.now()
  let bytes = 0
  let lines = 0
  let lookedAtMs = 0
  for await (const piece of await operator.open(`/queries/${queryId}/export?format=csv`)) {
    bytes += piece.length
    for (const byte of piece) if (byte === 0x0a) lines += 1
    if (performance.now() - lookedAtMs < 50) continue
    lookedAtMs = performance.now()
    residentBytes.most = Math.max(residentBytes.most, resident())
  }
  return { lines, bytes, seconds: (performance.now() - startedAtMs) / 1_000, residentBytes }
}
