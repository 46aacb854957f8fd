/**
 * Reads what agents' lines say about scheduled queries: rows of osquery_schedule, and trouble in status lines. A line is
 * a claim: what is no number is 0, and what makes no sense is left out. Pure.
 */

import { isObject, type JsonObject } from '../lib/json-value.ts'
import { MAX_NAME_CHARACTERS, MAX_ROWS } from './constants.ts'
import type { Counters } from './counters.ts'

/** One scheduled query, as a node's agent has it. */
export interface ScheduleRow {
  name: string
  sql: string
  intervalS: number
  counters: Counters
  /** Average, as the agent says. */
  memoryBytes: number
  /** Its agent does not run it, for a day after the watchdog killed it at this query (spec, quirk 38). */
  denylisted: boolean
}

export interface ScheduleReading {
  /** The agent's time; null where it says none (before osquery 2.4.1). */
  unixTimeS: number | null
  /** Whether these are all queries of its schedule: not where each row has a line of its own (spec 4.2). */
  isWhole: boolean
  rows: ScheduleRow[]
}

/** More memory than this is a difference that became negative and was taken for a large number. */
const MAX_MEMORY_BYTES = 2 ** 42

/** Reads a line of the built-in cost query, of either snapshot shape; null where it is none. */
export function readCostLine(line: unknown): ScheduleReading | null {
  if (!isObject(line)) return null
  const { snapshot, columns } = line
  const unixTimeS = timeOf(line)
  if (Array.isArray(snapshot))
    return { unixTimeS, isWhole: snapshot.length <= MAX_ROWS, rows: rowsOf(snapshot.slice(0, MAX_ROWS)) }
  return isObject(columns) ? { unixTimeS, isWhole: false, rows: rowsOf([columns]) } : null
}

function rowsOf(values: readonly unknown[]): ScheduleRow[] {
  return values.flatMap((value) => {
    const row = isObject(value) ? rowOf(value) : null
    return row === null ? [] : [row]
  })
}

function rowOf(row: JsonObject): ScheduleRow | null {
  const { name, query } = row
  if (typeof name !== 'string' || name === '' || name.length > MAX_NAME_CHARACTERS) return null
  const memoryBytes = numberOf(row['average_memory'])
  return {
    name,
    sql: typeof query === 'string' ? query : '',
    intervalS: numberOf(row['interval']),
    counters: {
      executions: numberOf(row['executions']),
      userMs: numberOf(row['user_time']),
      systemMs: numberOf(row['system_time']),
      // Seconds before osquery 5.8.
      wallMs:
        row['wall_time_ms'] === undefined
          ? numberOf(row['wall_time']) * 1_000
          : numberOf(row['wall_time_ms']),
      outputBytes: numberOf(row['output_size']),
      lastExecutedS: numberOf(row['last_executed']),
    },
    memoryBytes: memoryBytes > MAX_MEMORY_BYTES ? 0 : memoryBytes,
    // Called blacklisted before osquery 4.4.
    denylisted: numberOf(row['denylisted'] ?? row['blacklisted']) === 1,
  }
}

/** An agent's text before the name of a query that failed (osquery/dispatcher/scheduler.cpp). */
const FAILED = 'Error executing scheduled query '
const BEFORE_MESSAGE = ': '
/** The same at a start, of the query at which its process before was killed (osquery/config/config.cpp). */
const KILLED = 'Scheduled query may have failed: '
/** Severities of these lines (spec 4.3). */
const WARNING = 1
const ERROR = 2

/** `error`: it gave none but an error. `killed`: its agent was killed at it, and does not run it for a day. */
export interface QueryTrouble {
  kind: 'error' | 'killed'
  name: string
  unixTimeS: number | null
}

/**
 * Reads a status line about a scheduled query in trouble; null for all others. A name may hold what stands between it and
 * a message, so the longest one that is known is taken.
 */
export function readTroubleLine(line: unknown, isKnown: (name: string) => boolean): QueryTrouble | null {
  if (!isObject(line)) return null
  const { severity, message } = line
  if (typeof message !== 'string') return null
  const unixTimeS = timeOf(line)
  if (Number(severity) === WARNING && message.startsWith(KILLED)) {
    const name = message.slice(KILLED.length)
    return name === '' || name.length > MAX_NAME_CHARACTERS ? null : { kind: 'killed', name, unixTimeS }
  }
  if (Number(severity) !== ERROR || !message.startsWith(FAILED)) return null
  const name = nameBeforeMessage(message.slice(FAILED.length), isKnown)
  return name === undefined ? null : { kind: 'error', name, unixTimeS }
}

function nameBeforeMessage(text: string, isKnown: (name: string) => boolean): string | undefined {
  const rest = text.slice(0, MAX_NAME_CHARACTERS + BEFORE_MESSAGE.length)
  const names: string[] = []
  for (let at = rest.indexOf(BEFORE_MESSAGE); at > 0; at = rest.indexOf(BEFORE_MESSAGE, at + 1))
    names.push(rest.slice(0, at))
  return names.findLast(isKnown) ?? names[0]
}

/** Whether a status line may be one of those: cheaper than reading it. */
export function mayTellOfTrouble(text: string): boolean {
  return text.includes(FAILED) || text.includes(KILLED)
}

function timeOf({ unixTime }: JsonObject): number | null {
  const timeS = numberOf(unixTime)
  return timeS > 0 ? timeS : null
}

/** Agents write numbers as texts, or as numbers with logger_numerics (spec 4.2). */
function numberOf(value: unknown): number {
  const number = typeof value === 'string' || typeof value === 'number' ? Math.trunc(Number(value)) : 0
  return Number.isSafeInteger(number) && number > 0 ? number : 0
}
