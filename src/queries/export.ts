/**
 * All rows of a query as one file, streamed: NDJSON, JSON, CSV. Memory stays flat whatever the number of rows. In CSV values
 * are the agent's bytes, whatever they are; JSON is UTF-8 and has rows that are not as base64 beside (row-text.ts).
 */

import Papa from 'papaparse'
import type { Bytes } from '../lib/bytes.ts'
import { Pace } from '../lib/pace.ts'
import { bytesOfRawText } from '../lib/raw-text.ts'
import { rfc3339 } from '../lib/time.ts'
import { ROWS_PER_TURN } from './constants.ts'
import { columnsOf } from './row-filter.ts'
import { columnsMembers } from './row-text.ts'
import type { WalkedAnswer } from './walk.ts'

export const EXPORT_FORMATS = ['ndjson', 'json', 'csv'] as const
export type ExportFormat = (typeof EXPORT_FORMATS)[number]

export const CONTENT_TYPES: Record<ExportFormat, string> = {
  ndjson: 'application/x-ndjson',
  json: 'application/json',
  csv: 'text/csv; charset=utf-8',
}

/** What every line says beside the agent's columns: names that tables of osquery do not have (`hostname` is one of theirs). */
const NODE_COLUMNS = ['node_id', 'node_hostname', 'received_at']
/** RFC 4180. */
const CSV_LINE_END = '\r\n'
/** Columns of one file: more than any table of osquery has, also joined. */
const MAX_COLUMNS = 2_000

export interface ExportSource {
  /** Begins a walk over the rows. CSV walks twice: a header has to name all columns. */
  walk(): AsyncIterable<WalkedAnswer[]>
  hostnames(nodeIds: readonly string[]): Promise<ReadonlyMap<string, string>>
}

export interface CsvOptions {
  /** A cell that a spreadsheet would take for a formula gets an apostrophe before it. */
  escapeFormulas: boolean
}

/** The file's text, piece by piece; it keeps bytes that are not UTF-8 (lib/raw-text.ts). */
export async function* exportText(
  source: ExportSource,
  format: ExportFormat,
  csv: CsvOptions,
): AsyncGenerator<string> {
  switch (format) {
    case 'ndjson':
      for await (const lines of jsonLines(source)) yield `${lines.join('\n')}\n`
      return
    case 'json': {
      let separator = '['
      for await (const lines of jsonLines(source)) {
        yield `${separator}${lines.join(',\n')}`
        separator = ',\n'
      }
      yield separator === '[' ? '[]\n' : ']\n'
      return
    }
    case 'csv':
      yield* csvText(source, csv)
  }
}

/** A body that is made as fast as it is read. A failure in the middle breaks the transfer off: nobody takes it for whole. */
export function streamOf(text: AsyncGenerator<string>): ReadableStream<Bytes> {
  return new ReadableStream<Bytes>({
    async pull(controller) {
      const { done, value } = await text.next()
      if (done === true) controller.close()
      else controller.enqueue(bytesOfRawText(value))
    },
    async cancel() {
      await text.return(undefined)
    },
  })
}

async function* jsonLines(source: ExportSource): AsyncGenerator<string[]> {
  for await (const answers of source.walk()) {
    const hostnames = await source.hostnames(answers.map(({ nodeId }) => nodeId))
    for await (const turn of turnsOf(answers)) {
      yield turn.flatMap(({ nodeId, receivedAtMs, rows }) => {
        const hostname = hostnames.get(nodeId) ?? ''
        const start = JSON.stringify({ nodeId, hostname, receivedAt: rfc3339(receivedAtMs) }).slice(0, -1)
        return rows.map((row) => `${start},${columnsMembers(row)}}`)
      })
    }
  }
}

async function* csvText(source: ExportSource, { escapeFormulas }: CsvOptions): AsyncGenerator<string> {
  const columns = await allColumns(source)
  const text = (lines: string[][]) =>
    `${Papa.unparse(lines, { newline: CSV_LINE_END, escapeFormulae: escapeFormulas })}${CSV_LINE_END}`
  // An alias in the query may be anything; a header names each column once.
  const header = columns.map((column) => (NODE_COLUMNS.includes(column) ? `result.${column}` : column))
  yield text([[...NODE_COLUMNS, ...header]])
  for await (const answers of source.walk()) {
    const hostnames = await source.hostnames(answers.map(({ nodeId }) => nodeId))
    for await (const turn of turnsOf(answers)) {
      const lines = turn.flatMap(({ nodeId, receivedAtMs, rows }) => {
        const node = [nodeId, hostnames.get(nodeId) ?? '', rfc3339(receivedAtMs)]
        return rows.map((row) => {
          const present = columnsOf(row)
          return [...node, ...columns.map((column) => present.get(column) ?? '')]
        })
      })
      yield text(lines)
    }
  }
}

/** In the order in which they first occur. */
async function allColumns(source: ExportSource): Promise<string[]> {
  const columns = new Set<string>()
  for await (const answers of source.walk()) {
    for await (const turn of turnsOf(answers)) {
      for (const row of turn.flatMap(({ rows }) => rows)) {
        for (const column of columnsOf(row).keys()) if (columns.size < MAX_COLUMNS) columns.add(column)
      }
    }
  }
  return [...columns]
}

/** Answers a turn's worth of rows at a time, a large one in several pieces; between two turns others have theirs. */
async function* turnsOf(answers: readonly WalkedAnswer[]): AsyncGenerator<WalkedAnswer[]> {
  const pace = new Pace(ROWS_PER_TURN)
  let turn: WalkedAnswer[] = []
  let count = 0
  for (const answer of answers) {
    for (let from = 0; from < answer.rows.length; from += ROWS_PER_TURN) {
      const rows = answer.rows.slice(from, from + ROWS_PER_TURN)
      turn.push({ ...answer, rows })
      count += rows.length
      if (count < ROWS_PER_TURN) continue
      yield turn
      await pace.after(count)
      turn = []
      count = 0
    }
  }
  if (turn.length > 0) yield turn
}
