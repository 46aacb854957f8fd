/**
 * Answers SQL with a real SQLite in memory. Tables are made when a query first names them, so that ten thousand agents
 * do not hold ten thousand full databases. Only reading is allowed: the SQL comes from a server.
 */
import type { SQLOutputValue, StatementSync } from 'node:sqlite'
import { DatabaseSync, constants } from 'node:sqlite'
import type { Result } from '../lib/result.ts'
import { fail, ok } from '../lib/result.ts'
import { registerCarve, registerFunctions } from './sql-functions.ts'
import type { ResultRow, SqlValue, TableContext, TableDefinition, TableSet } from './sql-types.ts'

const READING = new Set([
  constants.SQLITE_SELECT,
  constants.SQLITE_READ,
  constants.SQLITE_FUNCTION,
  constants.SQLITE_RECURSIVE,
])
const READING_PRAGMAS = new Set(['table_info', 'table_xinfo', 'table_list', 'database_list', 'function_list'])

/** What answers an agent's SQL. */
export interface SqlAnswerer {
  /** Rows of the first statement, or SQLite's message (`no such table: foo`) as osquery reports it. */
  query(sql: string): Result<ResultRow[], string>
  /** Replaces the views that the configuration defines. */
  setViews(views: Readonly<Record<string, string>>): void
  /** Frees what can be made anew. */
  close(): void
}

/** Makes an answerer. `onCarve` is told the paths that a query hands to the aggregate function `carve(path)`. */
export type CreateEngine = (
  tables: TableSet,
  contextFor: (sql: string) => TableContext,
  onCarve: (paths: readonly string[]) => void,
) => SqlAnswerer

/** SQL over the simulated tables of one agent. */
export class SqlEngine implements SqlAnswerer {
  readonly #tables: TableSet
  readonly #contextFor: (sql: string) => TableContext
  readonly #loaded = new Set<string>()
  readonly #onCarve: (paths: readonly string[]) => void
  #database: DatabaseSync | undefined
  #views: Readonly<Record<string, string>> = {}
  #mayWrite = false

  /** `onCarve` is told the paths that a query hands to the aggregate function `carve(path)`. */
  constructor(
    tables: TableSet,
    contextFor: (sql: string) => TableContext,
    onCarve: (paths: readonly string[]) => void,
  ) {
    this.#tables = tables
    this.#contextFor = contextFor
    this.#onCarve = onCarve
  }

  /** Rows of the first statement, or SQLite's message (`no such table: foo`) as osquery reports it. */
  query(sql: string): Result<ResultRow[], string> {
    try {
      const database = this.#open()
      this.#loadTables(database, sql)
      return ok(readRows(database.prepare(sql)))
    } catch (error) {
      return fail(error instanceof Error ? error.message : String(error))
    }
  }

  /** Replaces the views that the configuration defines. */
  setViews(views: Readonly<Record<string, string>>): void {
    this.close()
    this.#views = views
  }

  /** Frees the database. The next query opens a new one. */
  close(): void {
    this.#database?.close()
    this.#database = undefined
    this.#loaded.clear()
  }

  #open(): DatabaseSync {
    if (this.#database) return this.#database
    this.#database = openDatabase(this.#onCarve, () => this.#mayWrite)
    return this.#database
  }

  #loadTables(database: DatabaseSync, sql: string): void {
    const viewTexts = Object.entries(this.#views).filter(([name]) => names(sql, name))
    const text = [sql, ...viewTexts.map(([, select]) => select)].join('\n')
    const context = this.#contextFor(text)
    this.#mayWrite = true
    try {
      for (const [name, table] of Object.entries(this.#tables))
        if (names(text, name)) this.#loadTable(database, name, table, context)
      for (const [name, select] of viewTexts)
        database.exec(`CREATE VIEW IF NOT EXISTS ${quote(name)} AS ${select}`)
    } finally {
      this.#mayWrite = false
    }
  }

  #loadTable(database: DatabaseSync, name: string, table: TableDefinition, context: TableContext): void {
    if (this.#loaded.has(name) && !table.isVolatile) return
    const columns = columnNames(table)
    if (this.#loaded.has(name)) database.exec(`DELETE FROM ${quote(name)}`)
    else database.exec(`CREATE TABLE ${quote(name)} (${table.columns})`)
    this.#loaded.add(name)
    const insert = database.prepare(
      `INSERT INTO ${quote(name)} VALUES (${columns.map(() => '?').join(', ')})`,
    )
    for (const row of table.rows(context))
      insert.run(...columns.map((column): SqlValue => row[column] ?? null))
  }
}

/** An empty database with osquery's functions, in which only `mayWrite` lets anybody write. */
export function openDatabase(
  onCarve: (paths: readonly string[]) => void,
  mayWrite: () => boolean,
): DatabaseSync {
  const database = new DatabaseSync(':memory:', { enableDoubleQuotedStringLiterals: true })
  registerFunctions(database)
  registerCarve(database, onCarve)
  database.setAuthorizer((action, subject) => {
    if (mayWrite() || READING.has(action)) return constants.SQLITE_OK
    const isReadingPragma = action === constants.SQLITE_PRAGMA && READING_PRAGMAS.has(String(subject))
    return isReadingPragma ? constants.SQLITE_OK : constants.SQLITE_DENY
  })
  return database
}

/** Runs a statement; gives its rows as osquery does. */
export function readRows(statement: StatementSync): ResultRow[] {
  statement.setReadBigInts(true)
  statement.setReturnArrays(true)
  const columns = statement.columns().map((column) => column.name)
  const rows: ResultRow[] = []
  // With setReturnArrays each row is an array, which the type of iterate() does not know.
  for (const values of statement.iterate() as Iterable<unknown> as Iterable<SQLOutputValue[]>) {
    const row: Record<string, string> = {}
    // A column name that occurs twice collapses to its last value, as in osquery's row maps.
    for (const [i, column] of columns.entries()) row[column] = textOf(values[i] ?? null)
    rows.push(row)
  }
  return rows
}

function textOf(value: SQLOutputValue): string {
  if (value === null) return ''
  if (typeof value === 'string') return value
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'number') return Number.isInteger(value) ? value.toFixed(1) : String(value)
  return Buffer.from(value).toString()
}

/** The columns of a table. */
export function columnNames(table: TableDefinition): string[] {
  return table.columns.split(',').map((column) => column.trim().split(' ')[0] ?? '')
}

/** Whether SQL names a table. */
export function names(text: string, table: string): boolean {
  return new RegExp(String.raw`\b${table}\b`, 'i').test(text)
}

/** An identifier for SQL text. */
export function quote(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`
}
