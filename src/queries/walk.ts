/**
 * Walks all rows of a query, answer by answer: for exports and counts. Memory stays flat, and each call to a shard is
 * short, and so is each turn of this isolate, so that agents never wait for an operator (design 4). In no order that is
 * promised.
 */

import { Deadline } from '../lib/deadline.ts'
import { Pace } from '../lib/pace.ts'
import { compareNewestFirst, type AnswerPosition, type AnswerRecord } from './answer.ts'
import { ROWS_PER_TURN } from './constants.ts'
import { inflateRows, type QueryPlace } from './read.ts'
import { matchesRow, type RowFilter } from './row-filter.ts'
import { rowTextOf } from './row-text.ts'
import { splitRows } from './rows.ts'
import { answerShardStub } from './shard-name.ts'

/** How long one shard is waited for. */
const SHARD_WITHIN_MS = 10_000
/** Compressed rows of one call; inflated one answer after the other. */
const CALL_BYTES = 2 * 1_024 * 1_024
const CALL_ROWS = 50_000

type StoredAnswer = AnswerRecord & { rows: Uint8Array | null }

interface RowsOfShard {
  records: StoredAnswer[]
  complete: boolean
}

/** An answer that has rows which match, each as the agent wrote it, as a text that keeps every byte (row-text.ts). */
export interface WalkedAnswer {
  nodeId: string
  receivedAtMs: number
  rows: string[]
}

/** Answers that came before the walk began, a call's worth at a time. Throws where a shard does not answer. */
export async function* walkRows(
  env: Env,
  environmentId: string,
  query: QueryPlace,
  filter: RowFilter,
): AsyncGenerator<WalkedAnswer[]> {
  const pace = new Pace(ROWS_PER_TURN)
  for (let index = 0; index < query.shards; index += 1) {
    const shard = answerShardStub(env, environmentId, query.shards, index)
    // Newest first, and what comes meanwhile is newer than where the walk is: it is not seen.
    let place: AnswerPosition | null = null
    for (;;) {
      const from: AnswerPosition | null = place
      const { records, complete }: RowsOfShard = await new Deadline(SHARD_WITHIN_MS).run(
        shard.recordsWithRows(query.number, from, CALL_ROWS, CALL_BYTES),
      )
      // The place itself was the last of the call before.
      const fresh: StoredAnswer[] =
        from === null ? records : records.filter((record) => compareNewestFirst(record, from) !== 0)
      const answers: WalkedAnswer[] = []
      for (const record of fresh) {
        const answer = await answerOf(record, filter)
        if (answer.rows.length > 0) answers.push(answer)
        await pace.after(record.rowCount)
      }
      if (answers.length > 0) yield answers
      const last: StoredAnswer | undefined = fresh.at(-1)
      if (complete || last === undefined) break
      place = { receivedAtMs: last.receivedAtMs, ordinal: last.ordinal }
    }
  }
}

async function answerOf(record: StoredAnswer, filter: RowFilter): Promise<WalkedAnswer> {
  const { nodeId, receivedAtMs } = record
  return { nodeId, receivedAtMs, rows: await matchingRows(record, filter) }
}

/** The rows of an answer that match. */
export async function matchingRows(
  { nodeId, rows }: Pick<StoredAnswer, 'nodeId' | 'rows'>,
  filter: RowFilter,
): Promise<string[]> {
  if (rows === null || (filter.nodeId !== null && filter.nodeId !== nodeId)) return []
  const texts = splitRows(await inflateRows(rows)).map(rowTextOf)
  return filter.column === null ? texts : texts.filter((row) => matchesRow(filter, row))
}
