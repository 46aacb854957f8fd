/** Reads a query's answers for operators: asks all of its shards and merges what they say, newest first. */

import { base64UrlOf, bytesOfBase64Url, textOf, utf8 } from '../lib/bytes.ts'
import { gunzip } from '../lib/compression.ts'
import { Deadline } from '../lib/deadline.ts'
import {
  compareNewestFirst,
  NO_ANSWERS,
  sumOfCounts,
  type AnswerCounts,
  type AnswerPosition,
  type AnswerRecord,
} from './answer.ts'
import { MAX_ANSWER_BYTES } from './constants.ts'
import { splitRows } from './rows.ts'
import { answerShardStub } from './shard-name.ts'

/** How long the shards of a query are waited for. */
const SHARDS_WITHIN_MS = 5_000
/** Compressed rows that one shard hands over for one page. */
const MAX_PAGE_BYTES = 4 * 1_024 * 1_024

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
  /** JSON object text, as the agent wrote it. */
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

/** One page of result rows, newest answers first, rows of an answer in the agent's order. Throws BadCursor. */
export async function pageResults(
  env: Env,
  environmentId: string,
  query: QueryPlace,
  cursor: string | null,
  limit: number,
): Promise<Page<ResultItem>> {
  const from = cursor === null ? null : readCursor(cursor)
  const skipped = from?.row ?? 0
  const lists = await eachShard(env, environmentId, query.shards, (shard) =>
    shard.recordsWithRows(query.number, from, limit + skipped + 1, MAX_PAGE_BYTES),
  )
  // A shard that stopped early may have more answers that are newer than another's older ones: beyond its last one
  // nothing is certain.
  const ends = lists.filter(({ complete }) => !complete).flatMap(({ records }) => records.at(-1) ?? [])
  const bound = ends.sort(compareNewestFirst)[0]
  const records = lists.flatMap((list) => list.records).sort(compareNewestFirst)
  const items: ResultItem[] = []
  for (const record of records) {
    if (bound !== undefined && compareNewestFirst(record, bound) > 0) break
    const { nodeId, ordinal, receivedAtMs } = record
    const isFirst = from !== null && compareNewestFirst(record, from) === 0
    const rows = record.rows === null ? [] : splitRows(await inflateRows(record.rows))
    for (let row = isFirst ? skipped : 0; row < rows.length; row += 1) {
      if (items.length === limit) return { items, nextCursor: writeCursor({ receivedAtMs, ordinal, row }) }
      items.push({ nodeId, ordinal, receivedAtMs, columns: textOf(rows[row] ?? utf8('{}')) })
    }
    if (bound !== undefined && compareNewestFirst(record, bound) === 0) {
      return { items, nextCursor: writeCursor({ receivedAtMs, ordinal, row: rows.length }) }
    }
  }
  return { items, nextCursor: null }
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

async function inflateRows(rows: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
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
