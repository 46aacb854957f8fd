/**
 * What the answers of a body come to that is put aside (design R5): the agent was told that they are safe and will not
 * send them again, so the query must not wait for them, and operators must see what became of them. Pure.
 */

import type { WriteVerdict } from './write-feed.ts'
import type { WrittenAnswer } from './write-body.ts'

export const TOO_LARGE_MESSAGE = 'too large: the answer was cut, and lies whole in quarantine'
export const MALFORMED_MESSAGE = 'not JSON: the answer was put aside in quarantine'

/** A failure as no agent says it: theirs is 1 (spec 2.5). */
const PUT_ASIDE_STATUS = 255

/** The answers as they are kept. Those that came whole stay as they are; the others say what happened to them. */
export function answersPutAside(
  answers: readonly WrittenAnswer[],
  verdict: Exclude<WriteVerdict, 'whole'>,
): WrittenAnswer[] {
  if (verdict === 'too-large')
    return answers.map((answer) =>
      answer.truncated && answer.message === '' ? { ...answer, message: TOO_LARGE_MESSAGE } : answer,
    )
  // Statuses come after the rows (spec 2.5): whether it succeeded is not known.
  const message = verdict === 'cut' ? TOO_LARGE_MESSAGE : MALFORMED_MESSAGE
  return answers.map((answer) => ({ ...answer, status: PUT_ASIDE_STATUS, truncated: true, message }))
}
