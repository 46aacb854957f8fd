import type { Json, JsonObject } from './json.ts'
import { isJsonObject } from './json.ts'
import type { Flags } from './settings.ts'
import { booleanFlag } from './settings.ts'
import type { ResultRow } from './sql-types.ts'

type FirstRow = (sql: string) => ResultRow

/** The decorations that go into every line (specification 3.5). */
export class Decorators {
  readonly #firstRow: FirstRow
  #decorators: JsonObject = {}
  #loaded: ResultRow = {}
  #always: ResultRow = {}
  readonly #timed = new Map<string, { dueMs: number; row: ResultRow }>()

  /** `firstRow` runs SQL and gives the first row, `{}` if there is none or it fails. */
  constructor(firstRow: FirstRow) {
    this.#firstRow = firstRow
  }

  /** Takes on a new configuration and runs its `load` decorators. */
  reload(config: JsonObject): void {
    this.#decorators = isJsonObject(config.decorators) ? config.decorators : {}
    this.#timed.clear()
    this.#loaded = this.#rowOf(this.#decorators.load)
    this.#always = {}
  }

  /** Runs the `always` decorators and the timed ones that are due. */
  refresh(nowMs: number): void {
    this.#always = this.#rowOf(this.#decorators.always)
    const timed = isJsonObject(this.#decorators.interval) ? this.#decorators.interval : {}
    for (const [seconds, queries] of Object.entries(timed)) {
      if (nowMs < (this.#timed.get(seconds)?.dueMs ?? 0)) continue
      this.#timed.set(seconds, { dueMs: nowMs + Number(seconds) * 1000, row: this.#rowOf(queries) })
    }
  }

  /** What to put into a line now. */
  current(flags: Flags): ResultRow {
    if (booleanFlag(flags, 'disable_decorators')) return {}
    return Object.assign({}, this.#loaded, this.#always, ...[...this.#timed.values()].map(({ row }) => row))
  }

  #rowOf(queries: Json | undefined): ResultRow {
    if (!Array.isArray(queries)) return {}
    return Object.assign({}, ...queries.map((sql) => (typeof sql === 'string' ? this.#firstRow(sql) : {})))
  }
}
