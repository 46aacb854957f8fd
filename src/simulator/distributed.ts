/** What an agent makes of a distributed read, and the body of the write that answers it (2.4, 2.5, 5.2). Pure. */
import type { Result } from '../lib/result.ts'
import type { Dialect } from './dialect.ts'
import { NEWEST_DIALECT } from './dialect.ts'
import type { Json, JsonObject } from './json.ts'
import { isJsonObject } from './json.ts'
import type { ResultRow } from './sql-types.ts'

/** What a read's reply leaves the agent with. */
export interface AcceptedWork {
  /** Queries to run, id ▸ SQL. */
  readonly queries: ReadonlyMap<string, string>
  /** Ids whose discovery query gave no row: never reported. */
  readonly skipped: readonly string[]
  /** How long to poll every 5 s, if the reply said so validly. */
  readonly accelerateSeconds?: number
  /** Why the reply was not, or only partly, taken. */
  readonly problem?: string
}

/** Answer to one query. `statuses` is 0 or 1: every error of osquery ends in code 1. */
export interface QueryAnswer {
  readonly rows: readonly ResultRow[]
  readonly status: 0 | 1
  readonly message: string
  /** Empty for a query that was not run. */
  readonly stats: QueryStats | Readonly<Record<string, never>>
}

/** What a query cost: milliseconds and bytes. */
export interface QueryStats {
  readonly wall_time_ms: number
  readonly user_time: number
  readonly system_time: number
  readonly memory: number
}

type RunSql = (sql: string) => Result<readonly ResultRow[], string>

/** Reads a reply. A discovery query with an SQL error aborts everything. */
export function acceptWork(
  reply: JsonObject,
  runSql: RunSql,
  dialect: Dialect = NEWEST_DIALECT,
): AcceptedWork {
  const queries = new Map<string, string>()
  const skipped: string[] = []
  const discovered = new Map<string, boolean>()
  for (const [id, sql] of Object.entries(isJsonObject(reply.discovery) ? reply.discovery : {})) {
    if (typeof sql !== 'string' || sql === '')
      return { queries, skipped, problem: `discovery of ${id} is no SQL` }
    const found = runSql(sql)
    if (!found.ok) return { queries, skipped, problem: `discovery of ${id}: ${found.reason}` }
    discovered.set(id, found.value.length > 0)
  }
  const matched = [...discovered].flatMap(([id, isFound]) => (isFound ? [id] : []))
  // 2.4.0 to 5.7: once anything matched, only what matched runs; else everything does.
  const isSkipped = (id: string) =>
    dialect.hasFixedDiscovery
      ? discovered.get(id) === false
      : matched.length > 0 && discovered.get(id) !== true
  for (const [id, sql] of Object.entries(isJsonObject(reply.queries) ? reply.queries : {})) {
    // osqueryd stops at the first bad member: the earlier ones stay, the later ones and accelerate are lost.
    if (id === '' || typeof sql !== 'string' || sql === '')
      return { queries, skipped, problem: `query ${JSON.stringify(id)} is no SQL` }
    if (isSkipped(id)) skipped.push(id)
    else queries.set(id, sql)
  }
  const accelerateSeconds = readAcceleration(reply.accelerate, dialect)
  return accelerateSeconds === undefined ? { queries, skipped } : { queries, skipped, accelerateSeconds }
}

/** `accelerate` as a release reads it: an int32; some releases take it, or only take it, as a text. */
function readAcceleration(value: Json | undefined, { acceleratesBy }: Dialect): number | undefined {
  const isInteger = typeof value === 'number' && Number.isInteger(value) && Math.abs(value) < 2 ** 31
  if (isInteger && acceleratesBy !== 'text') return value
  const isText = typeof value === 'string' && /^-?\d{1,9}$/.test(value)
  return isText && acceleratesBy !== 'integer' ? Number(value) : undefined
}

/** Body of a distributed write without the node key: every id appears in all maps that the release knows. */
export function writePayload(
  answers: ReadonlyMap<string, QueryAnswer>,
  dialect: Dialect = NEWEST_DIALECT,
): JsonObject {
  const entries = [...answers]
  return {
    queries: Object.fromEntries(entries.map(([id, answer]) => [id, answer.rows.map((row) => ({ ...row }))])),
    statuses: Object.fromEntries(entries.map(([id, answer]) => [id, answer.status])),
    ...(dialect.hasMessages && {
      messages: Object.fromEntries(entries.map(([id, answer]) => [id, answer.message])),
    }),
    ...(dialect.hasStats && {
      stats: Object.fromEntries(entries.map(([id, answer]) => [id, { ...answer.stats }])),
    }),
  }
}

/** Runs one query and measures it. */
export function answerQuery(sql: string, runSql: RunSql): QueryAnswer {
  const startMs = performance.now()
  const result = runSql(sql)
  const wallMs = Math.round(performance.now() - startMs)
  const stats = { wall_time_ms: wallMs, user_time: wallMs, system_time: 0, memory: 0 }
  if (!result.ok) return { rows: [], status: 1, message: result.reason, stats }
  return { rows: result.value, status: 0, message: '', stats }
}
