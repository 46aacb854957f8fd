/** How costs are laid out and for how long they are kept. */

/** Nodes of one object. A node's row is some 3 KB with 100 scheduled queries: 50 MB an object. */
export const ORDINALS_PER_OBJECT = 16_384
/** Readers of stored rows accept this format and the one before it (design 4). */
export const ROW_FORMAT = 1
/** The same of what the consumer sends. */
export const BATCH_FORMAT = 1
export const HOUR_S = 3_600
export const DAY_S = 86_400
/** Days of sums that are kept. */
export const KEPT_DAYS = 32
/** A node that has not reported for so long counts no more. Longer than the longest interval there is, 7 days. */
export const FORGET_NODE_AFTER_S = 8 * DAY_S
/** A query that is not in a node's schedule any more keeps its counters for so long: it may come back with them. */
export const FORGET_QUERY_AFTER_S = 8 * DAY_S
/** An agent's clock may be ahead of ours by so much; beyond, its time is taken for now. */
export const MAX_AHEAD_S = 600
/** No report speaks of more time than this. */
export const MAX_SPAN_S = 31 * DAY_S

/** Agents' lines are claims: what one may take of our memory. Rows of one report. */
export const MAX_ROWS = 2_000
/** Versions of queries of one object; of one name; and of all beyond which only names of the configuration come in. */
export const MAX_QUERIES = 5_000
export const MAX_VERSIONS = 64
export const MAX_UNCONFIGURED = 1_000
export const MAX_NAME_CHARACTERS = 512
/** Longest line that is read. Agents drop lines over 1 MiB by default (logger_tls_max_linesize, spec 4.4). */
export const MAX_LINE_BYTES = 1_024 * 1_024
