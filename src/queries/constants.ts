/** Limits of distributed queries. */

/** Rows of one answer, as JSON: what does not fit is left out and the answer is flagged (design 4). */
export const MAX_ANSWER_BYTES = 4 * 1_024 * 1_024
/** Rows of all answers of one POST: an isolate has 128 MB, and an RPC message may have 32 MiB. */
export const MAX_ANSWERS_BYTES_PER_POST = 24 * 1_024 * 1_024
/** A Durable Object's row may have 2 MB (Cloudflare limits). */
export const ANSWER_CHUNK_BYTES = 1_024 * 1_024
/** Longest message and statistics of an answer that are kept. */
export const MAX_MESSAGE_CHARACTERS = 4_096
/** SQL in one reply; agents take 8 MiB (spec 1.4). The rest is offered the next time. */
export const MAX_OFFERED_SQL_BYTES = 1_024 * 1_024
/** An unanswered query is offered again after this: agents lose work when they crash (spec 5.1). */
export const OFFER_AGAIN_AFTER_MS = 30_000
/** Two reads within this time are one request that came twice (spec 1.3): they get the same. */
export const SAME_OFFER_WITHIN_MS = 2_000
/** After so many offers a query is not pressed on a node any more: it may be what crashes it. */
export const MAX_OFFERS = 10
/** Remaining sets are reported to the environment at most this often (design 4). */
export const REPORT_EVERY_MS = 30_000
/** When nobody remains, the report follows almost at once, so that a query completes. */
export const REPORT_LAST_AFTER_MS = 250
/** New answers become log lines after this at the latest, unless the alarm is due before. */
export const LOG_ANSWERS_WITHIN_MS = 5_000
/** A message that tells the consumer of answers is thought lost after this, and sent again: it does no harm twice. */
export const LOG_ANSWERS_AGAIN_AFTER_MS = 10 * 60_000
/** sendBatch takes 100 messages (Cloudflare Queues limits); ours are about 200 bytes each. */
export const ANSWER_MESSAGES_AT_ONCE = 100
/**
 * Answers that the consumer gets at once, and their compressed bytes: some 100,000 lines, 3 s of the 30 s of CPU that a
 * batch may take, and with the largest answer on top well under the 32 MiB of an RPC message.
 */
export const MAX_ANSWERS_TO_LOG = 200
export const MAX_ANSWER_BYTES_TO_LOG = 2 * 1_024 * 1_024
/**
 * Rows of a closed query that become one object in R2. A thousand answers of 1 kB take 12 to 24 ms to be read and hashed,
 * and 23 to 44 ms to be let go: agents wait for no more than 50 ms (design 4). An answer alone may have MAX_ANSWER_BYTES.
 */
export const MAX_SEGMENT_BYTES = 4 * 1_024 * 1_024
export const MAX_SEGMENT_ANSWERS = 1_000
/** Segments that one alarm moves: carve links and reports wait for the next alarm. */
export const SEGMENTS_PER_ALARM = 4
/** Answers that come to a closed query wait for each other for this long. */
export const MOVE_LATE_AFTER_MS = 10 * 60_000
/** Where R2 is away, or answers are not log lines yet. */
export const MOVE_AGAIN_AFTER_MS = 60_000
/** A put that was under way when its query was erased is over by then. */
export const PUTS_END_WITHIN_MS = 15 * 60_000
/** Rows of each table that are deleted together. */
export const ERASED_IN_A_SLICE = 200
/** Rows that are worked on before others have a turn: inflated, split and counted they take some 10 µs each. */
export const ROWS_PER_TURN = 1_000
