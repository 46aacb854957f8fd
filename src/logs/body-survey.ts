/**
 * Walks through a log body without building it: is it JSON, what is its log_type, where are the entries of `data`.
 * `log_type` comes after `data` (spec 2.3), so a body too large to be held is walked through twice.
 */

import { textOf, type Bytes } from '../lib/bytes.ts'
import { JsonScanner, type JsonKind, type JsonPath, type ScanWish } from '../lib/json-scanner.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import type { QuarantineReason } from './quarantine.ts'
import { BodyUnreadable, chunksOf, type StoredBody } from './stored-body.ts'

/** Longest entry. Agents drop lines over 1 MiB by default (logger_tls_max_linesize, spec 4.4). */
const MAX_ENTRY_BYTES = 8 * 1_024 * 1_024
/** Entries of one POST. Agents send 1,024 by default (logger_tls_max_lines, spec 4.4). */
const MAX_ENTRIES = 100_000
/** Entries are held during the first walk as long as they come to no more than this. */
const MAX_HELD_BYTES = 4 * 1_024 * 1_024
const MAX_LOG_TYPE_BYTES = 256

/** One member of `data` as the agent wrote it; bytes are null where it is longer than we take. */
export interface BodyEntry {
  index: number
  isObject: boolean
  bytes: Bytes | null
}

export interface BodySurvey {
  /** Null where there is none, or none that is a text. */
  logType: string | null
  /** What `data` is: entries; nothing (absent, null, `""` before osquery 3.2.0, `[]`); or something else. */
  data: 'entries' | 'nothing' | 'unexpected'
  /** All entries, or null where they are too large to be held: walk again. */
  entries: BodyEntry[] | null
}

/** Looks the body through. Fails with the reason to put it aside; throws when it cannot be read now. */
export async function surveyBody(body: StoredBody): Promise<Result<BodySurvey, QuarantineReason>> {
  const visitor = new BodyVisitor(MAX_HELD_BYTES)
  const scanner = new JsonScanner(visitor)
  try {
    for await (const chunk of chunksOf(body)) {
      if (!scanner.push(chunk)) break
      if (visitor.count > MAX_ENTRIES) return fail('too-many-lines')
    }
  } catch (error) {
    if (error instanceof BodyUnreadable) return fail(error.reason)
    throw error
  }
  if (scanner.end() !== null || !visitor.rootIsObject) return fail('malformed')
  if (visitor.count > MAX_ENTRIES) return fail('too-many-lines')
  const data = visitor.unexpected ? 'unexpected' : visitor.count > 0 ? 'entries' : 'nothing'
  return ok({ logType: visitor.logType, data, entries: visitor.overflowed ? null : visitor.take() })
}

/** The entries of a body that was found to be sound. */
export async function* entriesOf(body: StoredBody): AsyncGenerator<BodyEntry> {
  const visitor = new BodyVisitor(Number.POSITIVE_INFINITY)
  const scanner = new JsonScanner(visitor)
  for await (const chunk of chunksOf(body)) {
    scanner.push(chunk)
    yield* visitor.take()
  }
}

class BodyVisitor {
  rootIsObject = false
  logType: string | null = null
  unexpected = false
  overflowed = false
  count = 0
  readonly #maxHeldBytes: number
  #heldBytes = 0
  #entries: BodyEntry[] = []
  #entryIsObject = false

  constructor(maxHeldBytes: number) {
    this.#maxHeldBytes = maxHeldBytes
  }

  /** The entries since the last call. */
  take(): BodyEntry[] {
    const entries = this.#entries
    this.#entries = []
    return entries
  }

  enter(path: JsonPath, kind: JsonKind): ScanWish {
    const [member] = path
    if (path.length === 0) {
      this.rootIsObject = kind === 'object'
      return this.rootIsObject ? 'descend' : 'skip'
    }
    if (path.length === 2) return this.#enterEntry(kind)
    if (member === 'log_type') return kind === 'string' ? { maxBytes: MAX_LOG_TYPE_BYTES } : 'skip'
    if (member !== 'data') return 'skip'
    if (kind === 'array') return 'descend'
    if (kind === 'string' || kind === 'literal') return { maxBytes: 'false'.length }
    this.unexpected = true
    return 'skip'
  }

  captured(path: JsonPath, value: { bytes: Bytes | null }): void {
    if (path.length === 2) this.#keepEntry(path[1] as number, value.bytes)
    else if (path[0] === 'log_type') {
      this.logType = value.bytes === null ? '' : (JSON.parse(textOf(value.bytes)) as string)
    } else {
      const text = value.bytes === null ? 'too long' : textOf(value.bytes)
      if (text !== '""' && text !== 'null') this.unexpected = true
    }
  }

  #enterEntry(kind: JsonKind): ScanWish {
    this.count += 1
    this.#entryIsObject = kind === 'object'
    return this.overflowed ? 'skip' : { maxBytes: MAX_ENTRY_BYTES }
  }

  #keepEntry(index: number, bytes: Bytes | null): void {
    this.#heldBytes += bytes?.length ?? 0
    this.#entries.push({ index, isObject: this.#entryIsObject, bytes })
    if (this.#heldBytes <= this.#maxHeldBytes) return
    this.overflowed = true
    this.#entries = []
  }
}
