/** Reads a query's answers for operators: asks all of its shards and merges what they say, newest first. */

import { base64UrlOf, bytesOfBase64Url, textOf, utf8 } from '../lib/bytes.ts'
import { gunzip } from '../lib/compression.ts'
import { Deadline } from '../lib/deadline.ts'
import { Pace } from '../lib/pace.ts'
import {
  compareNewestFirst,
  NO_ANSWERS,
  sumOfCounts,
  type AnswerCounts,
  type AnswerPosition,
  type AnswerRecord,
} from './answer.ts'
import { MAX_ANSWER_BYTES, ROWS_PER_TURN } from './constants.ts'
import { ALL_ROWS, matchesRow, type RowFilter } from './row-filter.ts'
import { rowTextOf } from './row-text.ts'
import { splitRows } from './rows.ts'
import { answerShardStub } from './shard-name.ts'

/** How long the shards of a query are waited for. */
const SHARDS_WITHIN_MS = 5_000
/** Compressed rows that the shards together hand over at once: an isolate has 128 MB for everything. */
const MAX_PAGE_BYTES = 8 * 1_024 * 1_024
/** Rows of one shard that are looked through at once for those that match, and how often one call looks. */
const MAX_FILTERED_ROWS = 20_000
const MAX_ROUNDS = 8

export interface QueryPlace {
  number: number
  shards: number
}

export interface AnswerItem {
  nodeId: string
  ordinal: number
  receivedAtMs: number
  status: 'ok' | 'failed'
  message: string
  rowCount: number
  truncated: boolean
  /** JSON object text. */
  stats: string
}

export interface ResultItem {
  nodeId: string
  ordinal: number
  receivedAtMs: number
  /** JSON object text, as the agent wrote it, with every byte (row-text.ts). */
  columns: string
}

export interface Page<Item> {
  items: Item[]
  nextCursor: string | null
}

/** Thrown for a cursor that this API never gave. */
export class BadCursor extends Error {
  override readonly name = 'BadCursor'
}

/** What became of a query's nodes. Throws when a shard does not answer. */
export async function readCounts(env: Env, environmentId: string, query: QueryPlace): Promise<AnswerCounts> {
  const [counts] = await readManyCounts(env, environmentId, [query])
  return counts ?? NO_ANSWERS
}

/** The same for several queries, in their order, with one call for each shard. */
export async function readManyCounts(
  env: Env,
  environmentId: string,
  queries: readonly QueryPlace[],
): Promise<AnswerCounts[]> {
  const sums = new Map<QueryPlace, AnswerCounts>()
  for (const [shards, group] of Map.groupBy(queries, (query) => query.shards)) {
    const numbers = group.map(({ number }) => number)
    const counted = await eachShard(env, environmentId, shards, (shard) => shard.counts(numbers))
    for (const [index, query] of group.entries()) {
      sums.set(query, sumOfCounts(counted.flatMap((counts) => counts[index] ?? [])))
    }
  }
  return queries.map((query) => sums.get(query) ?? NO_ANSWERS)
}

/** One page of answers, one for each node, newest first. Throws BadCursor. */
export async function pageAnswers(
  env: Env,
  environmentId: string,
  query: QueryPlace,
  cursor: string | null,
  limit: number,
): Promise<Page<AnswerItem>> {
  const after = cursor === null ? null : readCursor(cursor)
  const lists = await eachShard(env, environmentId, query.shards, (shard) =>
    shard.records(query.number, after, limit + 1),
  )
  const merged = lists.flat().sort(compareNewestFirst)
  const items = merged.slice(0, limit).map(toAnswerItem)
  const last = items.at(-1)
  return {
    items,
    nextCursor: merged.length > limit && last !== undefined ? writeCursor({ ...last, row: 0 }) : null,
  }
}

/**
 * One page of the result rows that match, newest answers first, rows of an answer in the agent's order. Where few match it
 * may be short and still have a next one. Throws BadCursor.
 */
export async function pageResults(
  env: Env,
  environmentId: string,
  query: QueryPlace,
  cursor: string | null,
  limit: number,
  filter: RowFilter = ALL_ROWS,
): Promise<Page<ResultItem>> {
  let from = cursor === null ? null : readCursor(cursor)
  const items: ResultItem[] = []
  for (let round = 1; ; round += 1) {
    const next = await addResults(env, environmentId, query, from, limit, filter, items)
    if (next === null) return { items, nextCursor: null }
    from = next
    // Without a filter the first round brings rows; with one a reply may be short, rather than late.
    if (items.length > 0 || round >= MAX_ROUNDS) return { items, nextCursor: writeCursor(from) }
  }
}

/** Adds one round's rows that match, until there are `limit`. Returns where to go on; null where nothing is left. */
async function addResults(
  env: Env,
  environmentId: string,
  query: QueryPlace,
  from: Cursor | null,
  limit: number,
  filter: RowFilter,
  items: ResultItem[],
): Promise<Cursor | null> {
  const skipped = from?.row ?? 0
  const maxRows = filter === ALL_ROWS ? limit + skipped + 1 : MAX_FILTERED_ROWS
  const maxBytes = Math.ceil(MAX_PAGE_BYTES / query.shards)
  const lists = await eachShard(env, environmentId, query.shards, (shard) =>
    shard.recordsWithRows(query.number, from, maxRows, maxBytes),
  )
  // A shard that stopped early may have more answers that are newer than another's older ones: beyond its last one
  // nothing is certain.
  const ends = lists.filter(({ complete }) => !complete).flatMap(({ records }) => records.at(-1) ?? [])
  const bound = ends.sort(compareNewestFirst)[0]
  const records = lists.flatMap((list) => list.records).sort(compareNewestFirst)
  const pace = new Pace(ROWS_PER_TURN)
  for (const record of records) {
    if (bound !== undefined && compareNewestFirst(record, bound) > 0) break
    const { nodeId, ordinal, receivedAtMs } = record
    const isFirst = from !== null && compareNewestFirst(record, from) === 0
    const isMeant = filter.nodeId === null || filter.nodeId === nodeId
    const rows = record.rows === null || !isMeant ? [] : splitRows(await inflateRows(record.rows))
    for (let row = isFirst ? skipped : 0; row < rows.length; row += 1) {
      if (items.length === limit) return { receivedAtMs, ordinal, row }
      const columns = rowTextOf(rows[row] ?? utf8('{}'))
      if (matchesRow(filter, columns)) items.push({ nodeId, ordinal, receivedAtMs, columns })
    }
    if (bound !== undefined && compareNewestFirst(record, bound) === 0)
      return { receivedAtMs, ordinal, row: isMeant ? rows.length : record.rowCount }
    await pace.after(rows.length)
  }
  return null
}

type Shard = ReturnType<typeof answerShardStub>

async function eachShard<T>(
  env: Env,
  environmentId: string,
  shards: number,
  ask: (shard: Shard) => Promise<T>,
): Promise<T[]> {
  const asked = Array.from({ length: shards }, (_, shard) =>
    ask(answerShardStub(env, environmentId, shards, shard)),
  )
  return new Deadline(SHARDS_WITHIN_MS).run(Promise.all(asked))
}

/** Stored rows as the JSON array that they are. Throws where they are not: they are our own. */
export async function inflateRows(rows: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const plain = await gunzip(rows, 2 * MAX_ANSWER_BYTES)
  if (!plain.ok) throw new Error('rows that we stored do not inflate')
  return plain.value
}

function toAnswerItem(record: AnswerRecord): AnswerItem {
  const { nodeId, ordinal, receivedAtMs, message, rowCount, truncated, stats } = record
  const status = record.status === 0 ? 'ok' : 'failed'
  return { nodeId, ordinal, receivedAtMs, status, message, rowCount, truncated, stats }
}

interface Cursor extends AnswerPosition {
  /** Rows of that answer that were already given. */
  row: number
}

function writeCursor({ receivedAtMs, ordinal, row }: Cursor): string {
  return base64UrlOf(utf8(`${receivedAtMs}.${ordinal}.${row}`))
}

function readCursor(text: string): Cursor {
  const [, receivedAtMs, ordinal, row] =
    /^(\d{1,15})\.(\d{1,10})\.(\d{1,9})$/.exec(textOf(bytesOfBase64Url(text) ?? utf8(''))) ?? []
  if (receivedAtMs === undefined) throw new BadCursor('not a cursor of this list')
  return { receivedAtMs: Number(receivedAtMs), ordinal: Number(ordinal), row: Number(row) }
}
