/** Which lines a search wants. Pure. */

import { textOf } from '../lib/bytes.ts'
import { LINE_TYPES, type ArchivedLine, type LineType } from './line.ts'
import { nameMatcher } from './name-glob.ts'

export interface LineFilter {
  nodeId: string | null
  /** See `typesOf`. */
  type: LineChoice | null
  /** A name, or a pattern with `*`. */
  name: string | null
  /** Received in [sinceMs, untilMs). */
  sinceMs: number | null
  untilMs: number | null
  /** A column with exactly this value, in any row of the line. */
  column: { name: string; value: string } | null
  /** Occurs in a name or a value of the line, whatever the case. */
  text: string | null
}

export type LineMatcher = (line: ArchivedLine) => boolean

/** What operators may choose from. */
export const LINE_CHOICES = [...LINE_TYPES, 'all'] as const
export type LineChoice = LineType | 'all'

/** What agents' loggers send: the rest is made here. */
const AGENT_TYPES: readonly LineType[] = ['result', 'snapshot', 'status']

/**
 * The types of lines that a choice stands for. `result` includes snapshots: both travel under log_type result. No choice is
 * what agents log; answers to live queries and audit rows are asked for by name.
 */
export function typesOf(type: LineChoice | null): readonly LineType[] {
  if (type === null) return AGENT_TYPES
  if (type === 'all') return LINE_TYPES
  return type === 'result' ? ['result', 'snapshot'] : [type]
}

/** The cheap questions first: most lines are told by their header. */
export function lineMatcher(filter: LineFilter): LineMatcher {
  const { nodeId, sinceMs, untilMs } = filter
  const types = new Set(typesOf(filter.type))
  const matchesName = nameMatcher(filter.name)
  const matchesContent = contentMatcher(filter)
  return (archived) => {
    const { header } = archived
    if ((nodeId !== null && header.nodeId !== nodeId) || !types.has(header.type)) return false
    if (!matchesName(header.name)) return false
    const receivedAtMs = Date.parse(header.receivedAt)
    if ((sinceMs !== null && receivedAtMs < sinceMs) || (untilMs !== null && receivedAtMs >= untilMs))
      return false
    return matchesContent(archived)
  }
}

function contentMatcher({ column, text }: LineFilter): LineMatcher {
  if (column === null && text === null) return () => true
  const wanted = text?.toLowerCase() ?? ''
  const written = JSON.stringify(wanted).slice(1, -1)
  const member = column === null ? '' : JSON.stringify(column.name)
  return ({ line }) => {
    const source = textOf(line)
    // Where the agent escaped more than it had to, only the parsed line tells.
    const isPlain = !source.includes('\\u') && !source.includes('\\/')
    if (isPlain && column !== null && !source.includes(member)) return false
    const mayHaveText = wanted === '' || source.toLowerCase().includes(written)
    if (isPlain && (!mayHaveText || column === null)) return mayHaveText
    const parsed = parse(source)
    return (
      (column === null || rowsOf(parsed).some((row) => valueOf(row[column.name]) === column.value)) &&
      (mayHaveText || hasText(parsed, wanted))
    )
  }
}

function parse(source: string): unknown {
  try {
    return JSON.parse(source)
  } catch {
    // Bytes that are no UTF-8 may have eaten a quote: such a line is found by its header alone.
    return null
  }
}

type Row = Record<string, unknown>

/**
 * The rows of a line, of any shape (spec 4.2): `columns` of an event, the rows of a snapshot, those added or removed of
 * a batch; what is none of these is itself a row (status lines, audit).
 */
function rowsOf(line: unknown): Row[] {
  if (!isRow(line)) return []
  const { columns, snapshot, diffResults } = line
  if (isRow(columns)) return [columns]
  if (Array.isArray(snapshot)) return snapshot.filter(isRow)
  if (!isRow(diffResults)) return [line]
  return [diffResults['added'], diffResults['removed']].flat().filter(isRow)
}

function isRow(value: unknown): value is Row {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A column's value as text: agents write numbers as texts unless told otherwise (`numerics`). */
function valueOf(value: unknown): string | null {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : null
}

function hasText(value: unknown, wanted: string): boolean {
  if (typeof value === 'string') return value.toLowerCase().includes(wanted)
  if (typeof value !== 'object' || value === null) return String(value).toLowerCase().includes(wanted)
  return Object.entries(value).some(
    ([name, member]) => name.toLowerCase().includes(wanted) || hasText(member, wanted),
  )
}
