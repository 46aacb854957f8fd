/**
 * Reads the body of a distributed write piece by piece (spec 2.5): rows are kept as the agent wrote them, up to a
 * limit for each answer and for the whole POST, so that a huge result costs its surplus rows, never the memory.
 */

import { gzip } from '../lib/compression.ts'
import { concatBytes, textOf, utf8, type Bytes } from '../lib/bytes.ts'
import {
  JsonScanner,
  type JsonFault,
  type JsonKind,
  type JsonPath,
  type ScanWish,
} from '../lib/json-scanner.ts'
import type { NewAnswer } from '../queries/answer.ts'
import { MAX_ANSWER_BYTES, MAX_ANSWERS_BYTES_PER_POST, MAX_MESSAGE_CHARACTERS } from '../queries/constants.ts'

/** statuses, messages and stats of one POST, as JSON, each. */
const MAX_SIDE_BYTES = 1_024 * 1_024
const MAX_KEY_BYTES = 1_024
/** A carve answer has one row; more rows than this are not looked into for carves. */
const MAX_CARVE_ROWS = 16

/** One answer as it came: the id is not verified yet. */
export type WrittenAnswer = Omit<NewAnswer, 'number' | 'notApplicable'> & { id: string }

interface Rows {
  parts: Bytes[]
  bytes: number
  truncated: boolean
}

export class WriteBodyReader {
  readonly #rows = new Map<string, Rows>()
  /** Maps, because an id may be called like what every object inherits. */
  readonly #sides = new Map<string, Map<string, unknown>>()
  #nodeKey = ''
  #keptBytes = 0
  readonly #scanner = new JsonScanner({
    enter: (path, kind) => this.#enter(path, kind),
    captured: (path, { bytes }) => this.#captured(path, bytes),
  })

  /** Reads on; false once the body is no JSON. */
  push(chunk: Bytes): boolean {
    return this.#scanner.push(chunk)
  }

  /** Says that the body is over; where and why it was no JSON object. */
  end(): JsonFault | null {
    return this.#scanner.end()
  }

  /** The node key in the body, or "". */
  get nodeKey(): string {
    return this.#nodeKey
  }

  /** The answers, in the order of their ids' first appearance, with rows compressed. */
  async answers(): Promise<WrittenAnswer[]> {
    const [statuses, messages, stats] = ['statuses', 'messages', 'stats'].map((name) => this.#sides.get(name))
    const answers: WrittenAnswer[] = []
    // A status without rows is an answer too; before 2.1.2 there were rows without a status.
    for (const id of new Set([...this.#rows.keys(), ...(statuses?.keys() ?? [])])) {
      const { parts, truncated } = this.#rows.get(id) ?? { parts: [], truncated: false }
      answers.push({
        id,
        status: statusOf(statuses?.get(id)),
        message: messageOf(messages?.get(id)),
        stats: statsOf(stats?.get(id)),
        rowCount: parts.length,
        truncated,
        rows: parts.length === 0 ? null : await gzip(joined(parts)),
        carves: parts.slice(0, MAX_CARVE_ROWS).flatMap(carveOf),
      })
    }
    return answers
  }

  #enter(path: JsonPath, kind: JsonKind): ScanWish {
    const [member, id] = path
    if (path.length === 0) return kind === 'object' ? 'descend' : 'skip'
    if (path.length === 1) {
      if (member === 'node_key') return { maxBytes: MAX_KEY_BYTES }
      if (member === 'queries') return kind === 'object' ? 'descend' : 'skip'
      const isSide = member === 'statuses' || member === 'messages' || member === 'stats'
      return isSide && kind === 'object' ? { maxBytes: MAX_SIDE_BYTES } : 'skip'
    }
    const rows = this.#rowsOf(String(id))
    if (path.length === 2) return kind === 'array' ? 'descend' : 'skip'
    if (kind !== 'object') return 'skip'
    const room = Math.min(MAX_ANSWER_BYTES - rows.bytes, MAX_ANSWERS_BYTES_PER_POST - this.#keptBytes)
    if (room > 0 && !rows.truncated) return { maxBytes: room }
    rows.truncated = true
    return 'skip'
  }

  #captured([member, id]: JsonPath, bytes: Bytes | null): void {
    if (member === 'queries') {
      const rows = this.#rowsOf(String(id))
      if (bytes === null) rows.truncated = true
      else {
        rows.parts.push(bytes)
        rows.bytes += bytes.length
        this.#keptBytes += bytes.length
      }
    } else if (bytes !== null) {
      const value: unknown = JSON.parse(textOf(bytes))
      if (member === 'node_key') this.#nodeKey = typeof value === 'string' ? value : ''
      else this.#sides.set(String(member), new Map(Object.entries(value as Record<string, unknown>)))
    }
  }

  #rowsOf(id: string): Rows {
    let rows = this.#rows.get(id)
    if (rows === undefined) {
      rows = { parts: [], bytes: 0, truncated: false }
      this.#rows.set(id, rows)
    }
    return rows
  }
}

/** A status as number or digits (before 3.2.0); absent is success, anything else unreadable is a failure. */
function statusOf(value: unknown): number {
  if (value === undefined || value === null) return 0
  const status = typeof value === 'string' && /^-?\d{1,9}$/.test(value) ? Number(value) : value
  return typeof status === 'number' && Number.isSafeInteger(status) ? status : 1
}

function messageOf(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, MAX_MESSAGE_CHARACTERS) : ''
}

function statsOf(value: unknown): string {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return '{}'
  const text = JSON.stringify(value)
  return text.length <= MAX_MESSAGE_CHARACTERS ? text : '{}'
}

function joined(rows: readonly Bytes[]): Bytes {
  const parts: Bytes[] = [utf8('[')]
  for (const [index, row] of rows.entries()) {
    if (index > 0) parts.push(utf8(','))
    parts.push(row)
  }
  parts.push(utf8(']'))
  return concatBytes(parts)
}

/** The carve that a row of the `carves` table names (spec 6.1), if it is one. */
function carveOf(row: Bytes): { carveId: string; path: string }[] {
  if (row.length > 16_384) return []
  const text = textOf(row)
  if (!text.includes('"carve_guid"')) return []
  const { carve_guid: carveId, path } = JSON.parse(text) as Record<string, unknown>
  if (typeof carveId !== 'string' || carveId === '') return []
  return [{ carveId, path: typeof path === 'string' ? path : '' }]
}
