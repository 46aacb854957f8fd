/** Live queries' answers as lines of type `query`: one for each row, one for an answer without rows or a failed one. */

import { concatBytes, hexOf, sha256, utf8, type Bytes } from '../lib/bytes.ts'
import { gunzip } from '../lib/compression.ts'
import { Deadline } from '../lib/deadline.ts'
import type { AnswerToLog } from '../queries/answer-log.ts'
import { MAX_ANSWER_BYTES } from '../queries/constants.ts'
import { splitRows } from '../queries/rows.ts'
import { answerShardStub } from '../queries/shard-name.ts'
import type { ArchiveWriter } from './archive-writer.ts'
import { envelopeOf } from './line.ts'
import { messageName, type AnswersMessage } from './message.ts'
import { sourceOf, UNKNOWN_NAME } from './source-facts.ts'
import type { SourceLookup } from './source-lookup.ts'

const CALL_WITHIN_MS = 30_000
const END = utf8('}')

/** Answers that were handed to the writer. */
export interface TakenAnswers {
  /** Names them: the same answers have the same. */
  sourceId: string
  /** To be called once they are in the archive: the shard goes on from there. */
  confirm(): Promise<void>
}

/**
 * Hands the lines of a shard's next answers to the writer; null where there is nothing left to log. Throws where the
 * shard does not answer; taking the same answers again is harmless.
 */
export async function archiveAnswers(
  env: Env,
  message: AnswersMessage,
  lookup: SourceLookup,
  writer: ArchiveWriter,
): Promise<TakenAnswers | null> {
  const { environmentId, shards, shard, number } = message
  const stub = answerShardStub(env, environmentId, shards, shard)
  const found = await new Deadline(CALL_WITHIN_MS).run(stub.answersToLog(number))
  if (found === null) return null
  const { queryId, answers, after, upTo } = found
  const sourceId = `${await messageName(message)}/${after}-${upTo}`
  await lookup.learnNodes([...new Set(answers.map(({ nodeId }) => nodeId))])
  for (const answer of answers) {
    const { nodeId, receivedAtMs } = answer
    const facts = await lookup.factsOf(environmentId, nodeId)
    const source = sourceOf({ environmentId, nodeId, platform: null, receivedAtMs }, facts)
    for (const [index, line] of (await linesOfAnswer(queryId, answer)).entries()) {
      const eventId = await answerEventId(queryId, nodeId, index)
      const event = { type: 'query', name: queryId, ...UNKNOWN_NAME, eventId, index } as const
      await writer.add(sourceId, source, event, envelopeOf(source, event, line))
    }
  }
  return { sourceId, confirm: () => new Deadline(CALL_WITHIN_MS).run(stub.confirmLogged(number, upTo)) }
}

/** The lines of one answer, the agent's rows in them byte for byte. */
export async function linesOfAnswer(
  queryId: string,
  { status, message, truncated, rows }: Pick<AnswerToLog, 'status' | 'message' | 'truncated' | 'rows'>,
): Promise<Bytes[]> {
  const said = {
    queryId,
    status,
    ...(message === '' ? {} : { message }),
    ...(truncated ? { truncated } : {}),
  }
  const head = JSON.stringify(said).slice(0, -1)
  const inflated = rows === null ? [] : splitRows(await inflatedRows(rows))
  if (inflated.length === 0) return [utf8(`${head}}`)]
  return inflated.map((row) => concatBytes([utf8(`${head},"columns":`), row, END]))
}

/** The id of the k-th line of a node's answer: an answer is taken once, so its rows stay where they are. */
export async function answerEventId(queryId: string, nodeId: string, index: number): Promise<string> {
  return hexOf((await sha256(utf8(`query\n${queryId}\n${nodeId}\n${index}`))).subarray(0, 16))
}

async function inflatedRows(rows: Bytes): Promise<Bytes> {
  const inflated = await gunzip(rows, 2 * MAX_ANSWER_BYTES)
  if (!inflated.ok) throw new Error(`stored rows are not as we wrote them: ${inflated.reason.kind}`)
  return inflated.value
}
