/** Makes the log lines of a scheduled query's run (specification 4.1, 4.2), in the member order of the captures. Pure. */
import type { Dialect } from './dialect.ts'
import { NEWEST_DIALECT } from './dialect.ts'
import type { Flags } from './settings.ts'
import { booleanFlag } from './settings.ts'
import type { ResultRow } from './sql-types.ts'
import { calendarTime } from './tables-system.ts'

/** What osqueryd remembers of a differential query between runs. */
export interface RememberedResult {
  readonly sql: string
  readonly epoch: number
  readonly counter: number
  readonly rows: readonly ResultRow[]
}

/** Rows that came and went since the last run. A multiset: equal rows count. */
export interface Difference {
  readonly added: readonly ResultRow[]
  readonly removed: readonly ResultRow[]
}

/** One execution, for the common fields of its lines. */
export interface Execution {
  readonly name: string
  readonly hostIdentifier: string
  readonly timeMs: number
  readonly epoch: number
  readonly decorations: ResultRow
  /** Default: the newest release's. */
  readonly dialect?: Dialect
}

/** Text of the lines and, for a differential query, what to remember. */
export interface RunLines {
  readonly lines: readonly string[]
  readonly remembered: RememberedResult
}

/** Compares two results as multisets of rows. */
export function difference(before: readonly ResultRow[], after: readonly ResultRow[]): Difference {
  const left = new Map<string, ResultRow[]>()
  for (const row of before) {
    const key = JSON.stringify(row)
    const equalRows = left.get(key)
    if (equalRows) equalRows.push(row)
    else left.set(key, [row])
  }
  const added = after.filter((row) => left.get(JSON.stringify(row))?.pop() === undefined)
  return { added, removed: [...left.values()].flat() }
}

/** Lines of a snapshot run. Its counter is always 0, and an empty result is a line too unless sent as events. */
export function snapshotLines(execution: Execution, rows: readonly ResultRow[], flags: Flags): string[] {
  const { stringify } = execution.dialect ?? NEWEST_DIALECT
  const common = commonFields(execution, 0, flags)
  if (booleanFlag(flags, 'logger_snapshot_event_type'))
    return rows.map((columns) => stringify({ ...common, columns, action: 'snapshot' }))
  return [stringify({ snapshot: rows, action: 'snapshot', ...common })]
}

/** Lines of a differential run against what was remembered: nothing if nothing changed. */
export function differentialLines(
  execution: Execution,
  sql: string,
  rows: readonly ResultRow[],
  last: RememberedResult | undefined,
  reportsRemoved: boolean,
  flags: Flags,
): RunLines {
  const { keepsUtf8, logsEmptyFirstRun, stringify } = execution.dialect ?? NEWEST_DIALECT
  const isFresh = last === undefined || last.epoch !== execution.epoch
  // Another SQL under a known name begins to count anew, but against the rows of the old one.
  const isRestarted = isFresh || last.sql !== sql
  const changes = isFresh ? { added: rows, removed: [] } : difference(last.rows, rows)
  const isEmpty = changes.added.length === 0 && changes.removed.length === 0
  const hasChanged = !isEmpty || (isFresh && logsEmptyFirstRun)
  const counter = isRestarted ? 0 : last.counter + (hasChanged ? 1 : 0)
  const remembered = { sql, epoch: execution.epoch, counter, rows }
  if (!hasChanged) return { lines: [], remembered }
  const common = commonFields(execution, counter, flags)
  const escaped = (row: ResultRow) => escapeRow(row, keepsUtf8)
  const removed = (reportsRemoved ? changes.removed : []).map(escaped)
  const added = changes.added.map(escaped)
  if (!booleanFlag(flags, 'logger_event_type'))
    return { lines: [stringify({ diffResults: { removed, added }, ...common })], remembered }
  const line = (columns: ResultRow, action: string) => stringify({ ...common, columns, action })
  // All removed rows come before all added ones.
  return {
    lines: [...removed.map((row) => line(row, 'removed')), ...added.map((row) => line(row, 'added'))],
    remembered,
  }
}

/** `decorations` as an object, or spliced in at the top level if the flag says so; nothing when there are none. */
export function decorationFields(decorations: ResultRow, flags: Flags): Record<string, unknown> {
  if (Object.keys(decorations).length === 0) return {}
  return booleanFlag(flags, 'decorations_top_level') ? decorations : { decorations }
}

function commonFields(execution: Execution, counter: number, flags: Flags): Record<string, unknown> {
  return {
    name: execution.name,
    hostIdentifier: execution.hostIdentifier,
    calendarTime: calendarTime(execution.timeMs),
    unixTime: Math.floor(execution.timeMs / 1000),
    epoch: execution.epoch,
    counter,
    ...((execution.dialect ?? NEWEST_DIALECT).hasNumerics && { numerics: false }),
    ...decorationFields(execution.decorations, flags),
  }
}

// Differential rows alone are escaped: every byte below 0x20 - in old releases all of UTF-8, too - becomes \xHH.
function escapeRow(row: ResultRow, keepsUtf8: boolean): ResultRow {
  const escaped = keepsUtf8 ? escapeControls : (text: string) => escapeUtf8(escapeControls(text))
  return Object.fromEntries(Object.entries(row).map(([key, value]) => [key, escaped(value)]))
}

function escapeUtf8(text: string): string {
  return text.replaceAll(/[\u0080-\u{10ffff}]+/gu, (odd) =>
    [...Buffer.from(odd)].map((byte) => String.raw`\x${hexByte(byte)}`).join(''),
  )
}

function escapeControls(text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  return text.replaceAll(/[\u0000-\u001f]/g, (c) => String.raw`\x${hexByte(c.charCodeAt(0))}`)
}

function hexByte(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, '0')
}
