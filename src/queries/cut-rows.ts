/** Cuts an answer down to the rows that its query wants of one node. */

import { concatBytes, utf8 } from '../lib/bytes.ts'
import { gunzip, gzip } from '../lib/compression.ts'
import type { NewAnswer } from './answer.ts'
import { MAX_ANSWER_BYTES } from './constants.ts'
import { splitRows } from './rows.ts'

/** The answer with its first `maxRows` rows, flagged where it had more. Throws where rows that we made do not inflate. */
export async function cutRows(answer: NewAnswer, maxRows: number): Promise<NewAnswer> {
  if (answer.rows === null || answer.rowCount <= maxRows) return answer
  const plain = await gunzip(answer.rows, 2 * MAX_ANSWER_BYTES)
  if (!plain.ok) throw new Error('rows that the edge packed do not inflate')
  const kept = splitRows(plain.value).slice(0, maxRows)
  const parts = kept.flatMap((row, index) => [utf8(index === 0 ? '[' : ','), row])
  const rows = await gzip(concatBytes([...parts, utf8(']')]))
  return { ...answer, rows, rowCount: kept.length, truncated: true }
}
