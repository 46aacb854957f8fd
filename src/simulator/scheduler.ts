/** Runs the scheduled queries that are due and makes their lines (specification 3.2, 4). */
import type { Result } from '../lib/result.ts'
import type { Dialect } from './dialect.ts'
import { NO_PERFORMANCE, withExecution, type QueryPerformance } from './query-performance.ts'
import type { RememberedResult } from './result-lines.ts'
import { differentialLines, snapshotLines } from './result-lines.ts'
import type { SeededChoice } from './rng.ts'
import type { ScheduledQuery } from './schedule.ts'
import type { Flags } from './settings.ts'
import { numberFlag } from './settings.ts'
import type { ResultRow, ScheduleRow } from './sql-types.ts'

/** osqueryd leaves a query out for so long after it was running when the process ended (osquery/config/config.cpp). */
const DENYLISTED_FOR_MS = 86_400_000
/** osqueryd caches a pack's discovery this long (`pack_refresh_interval`). */
const DISCOVERY_TTL_MS = 3_600_000

export interface SchedulerOptions {
  readonly choice: SeededChoice
  readonly firstRun: 'at-once' | 'after-interval'
  readonly runSql: (sql: string) => Result<readonly ResultRow[], string>
  readonly remembered: Readonly<Record<string, RememberedResult>>
  readonly denylist: ScheduleDenylist
  readonly nowMs: number
  /** Told of a query right before it runs: who dies now leaves its mark. */
  readonly onStart: (query: ScheduledQuery) => void
  /** Told of a query that SQLite refused. */
  readonly onError: (query: ScheduledQuery, message: string) => void
}

/** What osqueryd keeps of queries that were running when it ended, by name. */
export interface ScheduleDenylist {
  /** The query that is running, "" if none is: found at the next start, it is the one that killed the process. */
  readonly executing: string
  /** Until when queries are left out: milliseconds since 1970. */
  readonly until: Readonly<Record<string, number>>
}

/** What a run needs to know of its moment. */
export interface RunMoment {
  readonly nowMs: number
  readonly hostIdentifier: string
  readonly decorations: ResultRow
  readonly dialect: Dialect
  readonly flags: Flags
}

interface Ran {
  readonly lines: readonly string[]
  readonly outputBytes: number
}

interface Timing {
  readonly query: ScheduledQuery
  dueMs: number
  executions: number
  lastExecutedMs: number
  performance: QueryPerformance
}

const NEVER_RUN = { executions: 0, lastExecutedMs: 0, performance: NO_PERFORMANCE }

/** Due times and remembered rows of one agent. */
export class Scheduler {
  readonly #options: SchedulerOptions
  readonly #remembered: Map<string, RememberedResult>
  readonly #discoveries = new Map<string, { untilMs: number; isFound: boolean }>()
  readonly #denylist: Map<string, number>
  #timings = new Map<string, Timing>()
  #executing = ''

  constructor(options: SchedulerOptions) {
    this.#options = options
    this.#remembered = new Map(Object.entries(options.remembered))
    const { executing, until } = options.denylist
    this.#denylist = new Map(Object.entries(until))
    if (executing !== '') this.#denylist.set(executing, options.nowMs + DENYLISTED_FOR_MS)
  }

  /** What osqueryd would find at its next start. */
  get denylist(): ScheduleDenylist {
    return { executing: this.#executing, until: Object.fromEntries(this.#denylist) }
  }

  /** What osqueryd would keep in its database between restarts. */
  get remembered(): Record<string, RememberedResult> {
    return Object.fromEntries(this.#remembered)
  }

  /** Takes on a new schedule. A query that was there with the same interval keeps its time. */
  reschedule(queries: readonly ScheduledQuery[], nowMs: number, flags: Flags): void {
    const before = this.#timings
    this.#timings = new Map(
      queries.map((query): [string, Timing] => {
        const known = before.get(query.name)
        if (known?.query.intervalSeconds === query.intervalSeconds) return [query.name, { ...known, query }]
        const waitMs = this.#options.firstRun === 'at-once' ? 0 : this.#splayedIntervalMs(query, flags)
        return [query.name, { query, dueMs: nowMs + waitMs, ...NEVER_RUN }]
      }),
    )
  }

  /** Runs what is due, or everything; gives the lines in order. */
  run(moment: RunMoment, isForced: boolean): string[] {
    const lines: string[] = []
    for (const timing of this.#timings.values()) {
      if (!isForced && timing.dueMs > moment.nowMs) continue
      timing.dueMs = moment.nowMs + this.#splayedIntervalMs(timing.query, moment.flags)
      if (!this.#isDiscovered(timing.query, moment.nowMs)) continue
      if (this.#isDenylisted(timing.query, moment.nowMs)) continue
      this.#executing = timing.query.name
      this.#options.onStart(timing.query)
      lines.push(...this.#executeOnce(timing, moment))
      this.#executing = ''
    }
    return lines
  }

  #executeOnce(timing: Timing, moment: RunMoment): readonly string[] {
    const { query } = timing
    const { lines, outputBytes } = this.#execute(query, moment)
    timing.executions += 1
    timing.lastExecutedMs = moment.nowMs
    const { choice } = this.#options
    timing.performance = withExecution(timing.performance, query.sql, timing.executions, outputBytes, choice)
    return lines
  }

  /** Milliseconds until the next query is due; Infinity without a schedule. */
  msUntilDue(nowMs: number): number {
    return Math.max(0, Math.min(...[...this.#timings.values()].map((timing) => timing.dueMs)) - nowMs)
  }

  /** Rows of the table osquery_schedule. */
  rows(nowMs: number): ScheduleRow[] {
    return [...this.#timings.values()].map(({ query, executions, lastExecutedMs, performance }) => ({
      name: query.name,
      query: query.sql,
      intervalSeconds: query.intervalSeconds,
      executions,
      lastExecutedSeconds: Math.floor(lastExecutedMs / 1000),
      isDenylisted: this.#isDenylisted(query, nowMs),
      performance,
    }))
  }

  #isDenylisted({ mayBeDenylisted, name }: ScheduledQuery, nowMs: number): boolean {
    return mayBeDenylisted && (this.#denylist.get(name) ?? 0) > nowMs
  }

  #execute(query: ScheduledQuery, moment: RunMoment): Ran {
    const result = this.#options.runSql(query.sql)
    if (!result.ok) {
      this.#options.onError(query, result.reason)
      return { lines: [], outputBytes: 0 }
    }
    const outputBytes = JSON.stringify(result.value).length
    const { nowMs, flags, hostIdentifier, decorations, dialect } = moment
    const epoch = numberFlag(flags, 'schedule_epoch')
    const execution = { name: query.name, hostIdentifier, timeMs: nowMs, epoch, decorations, dialect }
    if (query.isSnapshot) return { lines: snapshotLines(execution, result.value, flags), outputBytes }
    const last = this.#remembered.get(query.name)
    const run = differentialLines(execution, query.sql, result.value, last, query.reportsRemoved, flags)
    this.#remembered.set(query.name, run.remembered)
    return { lines: run.lines, outputBytes }
  }

  // All discovery queries of a pack must give a row; the first miss or SQL error decides.
  #isDiscovered(query: ScheduledQuery, nowMs: number): boolean {
    return query.discovery.every((sql) => {
      const cached = this.#discoveries.get(sql)
      if (cached && cached.untilMs > nowMs) return cached.isFound
      const result = this.#options.runSql(sql)
      const isFound = result.ok && result.value.length > 0
      this.#discoveries.set(sql, { untilMs: nowMs + DISCOVERY_TTL_MS, isFound })
      return isFound
    })
  }

  // The splay of a query is remembered by osqueryd; here it follows from the seed, which comes to the same.
  #splayedIntervalMs(query: ScheduledQuery, flags: Flags): number {
    const percent = Math.min(Math.max(numberFlag(flags, 'schedule_splay_percent'), 0), 100)
    const range = Math.floor((query.intervalSeconds * percent) / 100)
    const offset = this.#options.choice.integer(`splay-${query.name}`, 2 * range + 1) - range
    return Math.max(1, query.intervalSeconds + offset) * 1000
  }
}
