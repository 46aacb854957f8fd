/**
 * SQL for thousands of agents over one SQLite database per platform. Tables and statements stay; before each query
 * the tables that it names are filled with the rows of the agent that asks. One database per agent would cost some
 * milliseconds per query to open.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Result } from '../../lib/result.ts'
import { fail, ok } from '../../lib/result.ts'
import type { CreateEngine, SqlAnswerer } from '../sql-engine.ts'
import { SqlEngine, columnNames, names, openDatabase, quote, readRows } from '../sql-engine.ts'
import type { ResultRow, TableContext, TableSet } from '../sql-types.ts'

/** Statements kept ready. Live queries bring new SQL all the time, so that all are dropped beyond this. */
const MAX_STATEMENTS = 200

/** Engines that share databases. */
export class SharedTables {
  readonly #databases = new Map<TableSet, SharedDatabase>()

  /** For {@link AgentOptions.createEngine}. */
  readonly createEngine: CreateEngine = (tables, contextFor, onCarve) => {
    let database = this.#databases.get(tables)
    if (!database) {
      database = new SharedDatabase(tables)
      this.#databases.set(tables, database)
    }
    return new SharedEngine(database, tables, contextFor, onCarve)
  }

  close(): void {
    for (const database of this.#databases.values()) database.close()
    this.#databases.clear()
  }
}

class SharedEngine implements SqlAnswerer {
  readonly #database: SharedDatabase
  readonly #createOwn: () => SqlEngine
  readonly #contextFor: (sql: string) => TableContext
  readonly #onCarve: (paths: readonly string[]) => void
  #views: Readonly<Record<string, string>> = {}

  constructor(database: SharedDatabase, ...[tables, contextFor, onCarve]: Parameters<CreateEngine>) {
    this.#database = database
    this.#createOwn = () => new SqlEngine(tables, contextFor, onCarve)
    this.#contextFor = contextFor
    this.#onCarve = onCarve
  }

  query(sql: string): Result<ResultRow[], string> {
    if (Object.keys(this.#views).length === 0)
      return this.#database.query(sql, this.#contextFor(sql), this.#onCarve)
    // Views are an agent's own.
    const engine = this.#createOwn()
    try {
      engine.setViews(this.#views)
      return engine.query(sql)
    } finally {
      engine.close()
    }
  }

  setViews(views: Readonly<Record<string, string>>): void {
    this.#views = views
  }

  close(): void {
    // The database is everybody's.
  }
}

interface Plan {
  readonly statement: StatementSync
  readonly tables: readonly string[]
}

class SharedDatabase {
  readonly #tables: TableSet
  readonly #database: DatabaseSync
  readonly #plans = new Map<string, Plan>()
  readonly #inserts = new Map<string, StatementSync>()
  #onCarve: (paths: readonly string[]) => void = () => undefined
  #mayWrite = false

  constructor(tables: TableSet) {
    this.#tables = tables
    this.#database = openDatabase(
      (paths) => this.#onCarve(paths),
      () => this.#mayWrite,
    )
  }

  query(
    sql: string,
    context: TableContext,
    onCarve: (paths: readonly string[]) => void,
  ): Result<ResultRow[], string> {
    this.#onCarve = onCarve
    try {
      const plan = this.#plans.get(sql) ?? this.#prepare(sql)
      for (const name of plan.tables) this.#fill(name, context)
      return ok(readRows(plan.statement))
    } catch (error) {
      return fail(error instanceof Error ? error.message : String(error))
    }
  }

  close(): void {
    this.#database.close()
  }

  #prepare(sql: string): Plan {
    const tables = Object.keys(this.#tables).filter((name) => names(sql, name))
    for (const name of tables) if (!this.#inserts.has(name)) this.#create(name)
    const plan = { statement: this.#database.prepare(sql), tables }
    if (this.#plans.size >= MAX_STATEMENTS) this.#plans.clear()
    this.#plans.set(sql, plan)
    return plan
  }

  #create(name: string): void {
    const table = this.#tables[name]
    if (!table) return
    this.#mayWrite = true
    try {
      this.#database.exec(`CREATE TABLE ${quote(name)} (${table.columns})`)
      const values = columnNames(table).map(() => '?')
      this.#inserts.set(
        name,
        this.#database.prepare(`INSERT INTO ${quote(name)} VALUES (${values.join(', ')})`),
      )
    } finally {
      this.#mayWrite = false
    }
  }

  #fill(name: string, context: TableContext): void {
    const [table, insert] = [this.#tables[name], this.#inserts.get(name)]
    if (!table || !insert) return
    const columns = columnNames(table)
    this.#mayWrite = true
    try {
      this.#database.exec(`BEGIN; DELETE FROM ${quote(name)}`)
      for (const row of table.rows(context)) insert.run(...columns.map((column) => row[column] ?? null))
      this.#database.exec('COMMIT')
    } finally {
      this.#mayWrite = false
    }
  }
}
