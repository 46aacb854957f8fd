/** Which lines are erased: what readers and compaction leave out. */

/** What was on its way when it was asked for arrives within this time: messages live 14 days at most (Queues limits). */
const ARRIVES_WITHIN_MS = 15 * 24 * 60 * 60_000
/** Of the newest erasures: what a reader is told of. */
const MAX_RECENT = 1_000

/** Lines that are as good as gone. */
export interface ErasedLines {
  /** Null: of every node. */
  nodeId: string | null
  /** Received until then. */
  untilMs: number
}

/** What readers leave out: erasures that are not done, and those of which something may still arrive. */
export function recentErasures(sql: SqlStorage, nowMs: number): ErasedLines[] {
  return sql
    .exec<{ node: string | null; until: number }>(
      `SELECT node, requested_ms AS until FROM erasures WHERE finished_ms IS NULL OR finished_ms > ?
       ORDER BY id DESC LIMIT ?`,
      nowMs - ARRIVES_WITHIN_MS,
      MAX_RECENT,
    )
    .toArray()
    .map(({ node, until }) => ({ nodeId: node, untilMs: until }))
}

/** What compaction leaves out of objects that begin at a time. */
export function erasuresAfter(sql: SqlStorage, firstMs: number): ErasedLines[] {
  return sql
    .exec<{ node: string | null; until: number }>(
      'SELECT node, requested_ms AS until FROM erasures WHERE requested_ms >= ?',
      firstMs,
    )
    .toArray()
    .map(({ node, until }) => ({ nodeId: node, untilMs: until }))
}
