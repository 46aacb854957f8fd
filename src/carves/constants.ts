/** Limits and times of carve sessions. Each says where it comes from. */

/** A Durable Object's row and BLOB have 2 MB at most (Durable Objects limits); a block is cut into such rows. */
export const MAX_ROW_BYTES = 1_024 * 1_024
/** No block for so long: the agent is gone. It never resumes a carve after a restart (spec 6.2). */
export const ABANDONED_AFTER_MS = 24 * 60 * 60_000
/** The time of the last block is stored at most so often: it costs a row written. */
export const NOTE_BLOCK_TIME_EVERY_MS = 60_000
/** How soon the index in D1 hears of a new carve, and how often of its progress. */
export const FIRST_SYNC_AFTER_MS = 500
export const SYNC_EVERY_MS = 10_000
/**
 * One block on its way to R2. The agent is answered within 8 s (design R10) and sends the block again a second later:
 * that copy must not wait long for one that hangs.
 */
export const UPLOAD_WITHIN_MS = 10_000
/** A gathered part (less than 10 MiB), or R2 putting parts together: beyond this it hangs, and is tried again. */
export const WORK_STEP_WITHIN_MS = 60_000
/** Telling D1 is one statement. */
export const SYNC_WITHIN_MS = 10_000
/** An alarm that is so long overdue is not coming: workerd forgets past ones in a restart (workerd issue 3138). */
export const ALARM_LOST_AFTER_MS = 60_000
/** Back-off of what failed: doubled each time, up to the second. */
export const FIRST_RETRY_AFTER_MS = 2_000
export const LAST_RETRY_AFTER_MS = 5 * 60_000
