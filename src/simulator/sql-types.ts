import type { QueryPerformance } from './query-performance.ts'
import type { SimulatedHost } from './host.ts'

/** A value as SQLite holds it. Integers from queries are bigint, so that a REAL of 1.0 stays one. */
export type SqlValue = string | number | bigint | null

/** A row of a simulated table; a column that is absent is NULL. */
export type TableRow = Readonly<Record<string, SqlValue>>

/** A result row as osquery gives it: every value a string, NULL as "". */
export type ResultRow = Readonly<Record<string, string>>

/** What tables need to know of the running agent, beside the machine. */
export interface TableContext {
  readonly host: SimulatedHost
  readonly version: string
  readonly instanceId: string
  readonly pid: number
  readonly startedAtMs: number
  readonly nowMs: number
  /** "" before the first configuration, as in osquery_info. */
  readonly configHash: string
  readonly schedule: readonly ScheduleRow[]
  readonly flags: Readonly<Record<string, string>>
  /** The text of the running query: path-constrained tables read their literals out of it. */
  readonly sql: string
  /** Rows of the carves table; starts a carve if the query's text asks for one. */
  readonly carveRows: () => readonly TableRow[]
}

/** What osquery_schedule shows of a scheduled query. */
export interface ScheduleRow {
  readonly name: string
  readonly query: string
  readonly intervalSeconds: number
  readonly executions: number
  readonly lastExecutedSeconds: number
  readonly isDenylisted: boolean
  readonly performance: QueryPerformance
}

/** A table: its columns as SQL, and how to make its rows. */
export interface TableDefinition {
  readonly columns: string
  readonly rows: (context: TableContext) => readonly TableRow[]
  /** Rows depend on time, state or the SQL text: made anew for every query. */
  readonly isVolatile?: boolean
}

/** Tables by name. */
export type TableSet = Readonly<Record<string, TableDefinition>>
