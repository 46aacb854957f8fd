/** How an operator asks for a file: the SQL that makes an agent carve it (spec 6.1), and what became of asking. Pure. */

/** A path on any system; longer ones are a mistake. */
const MAX_PATH_CHARS = 4_096
/** The agent was told to carve, and has sent nothing for so long: it restarted meanwhile (spec 6.2). */
const NEVER_SENT_AFTER_MS = 24 * 60 * 60_000

/** Why a path cannot be carved; null where it can. */
export function pathFault(path: string): string | null {
  if (path.trim() === '') return 'must not be blank'
  if (path.length > MAX_PATH_CHARS) return `is longer than ${MAX_PATH_CHARS} characters`
  if (path.includes('\0')) return 'has a NUL'
  // osquery joins and splits carve paths at commas, so that it would carve two other files (spec 6.1).
  return path.includes(',') ? 'has a comma: osquery would take it for two paths' : null
}

/** The query that carves a path; with a `%` it is a pattern (osquery's `%` and `%%`). */
export function carveSql(path: string): string {
  const operator = path.includes('%') ? 'LIKE' : '='
  return `SELECT * FROM carves WHERE carve = 1 AND path ${operator} '${path.replaceAll("'", "''")}'`
}

export type CarveStatus = 'requested' | 'scheduled' | 'receiving' | 'complete' | 'failed' | 'expired'

/** A carve's row and the query that asked for it, as far as its status needs them. */
export interface CarveState {
  status: string
  message: string | null
  updatedAtMs: number
  queryId: string | null
  /** Null where the query is not there any more. */
  query: { status: string; expiresAtMs: number; erasedAtMs: number | null } | null
}

/** The status that operators see: a request that nobody can answer any more has expired. */
export function carveStatus(
  carve: CarveState,
  nowMs: number,
): { status: CarveStatus; message: string | null } {
  const { query } = carve
  if (carve.status === 'requested' && carve.queryId !== null) {
    const isOver = query === null || query.erasedAtMs !== null || query.expiresAtMs <= nowMs
    if (isOver || query.status === 'stopped' || query.status === 'expired')
      return { status: 'expired', message: 'the query ended before the node answered' }
  }
  if (carve.status === 'scheduled' && nowMs - carve.updatedAtMs >= NEVER_SENT_AFTER_MS)
    return { status: 'expired', message: 'the agent promised the carve and never sent it' }
  return { status: carve.status as CarveStatus, message: carve.message }
}
