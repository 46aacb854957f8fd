/** One log line: what it is, its id, and the envelope that it is archived in. Pure but for hashing. */

import { concatBytes, hexOf, sha256, textOf, utf8, type Bytes } from '../lib/bytes.ts'
import { JsonScanner } from '../lib/json-scanner.ts'
import type { Retention } from './retention.ts'

/**
 * `snapshot` travels under log_type `result` too (spec 2.3), but is kept apart: it is large and asked for apart.
 * `query`: a row of a live query's answer. `audit`: who changed what; of no node.
 */
export type LineType = 'result' | 'snapshot' | 'status' | 'query' | 'audit'

export const LINE_TYPES: readonly LineType[] = ['result', 'snapshot', 'status', 'query', 'audit']

/** What an agent's entry says about itself. */
export interface LineFacts {
  type: LineType
  /** The scheduled query's name; empty where the entry has none. */
  name: string
}

/** Names beyond this are not kept: agents' are a path of a few dozen characters. */
const MAX_NAME_BYTES = 1_024

/**
 * Entries up to this are parsed whole: for the usual one of 400 bytes that takes a tenth of the scanner's time, which was a
 * third of the consumer's (npm run bench -- logs). Longer ones would be held several times over.
 */
const MAX_PARSED_BYTES = 64 * 1_024

/** Reads the facts of a result entry, of any shape (spec 4.2). */
export function factsOfResult(entry: Bytes): LineFacts {
  const parsed = entry.length > MAX_PARSED_BYTES ? null : objectOf(entry)
  if (parsed === null) return scannedFacts(entry)
  const { name, action } = parsed
  const isSnapshot = Object.hasOwn(parsed, 'snapshot') || action === 'snapshot'
  const isKept = typeof name === 'string' && name.length <= MAX_NAME_BYTES
  return { type: isSnapshot ? 'snapshot' : 'result', name: isKept ? name : '' }
}

/** Null where it is no JSON object. */
function objectOf(entry: Bytes): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(textOf(entry))
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null
  } catch {
    // Nested too deep for the parser, say: the scanner tells as much as there is.
    return null
  }
}

/** The same without building the entry. */
function scannedFacts(entry: Bytes): LineFacts {
  let name = ''
  let isSnapshot = false
  const scanner = new JsonScanner({
    enter(path) {
      if (path.length === 0) return 'descend'
      if (path[0] === 'snapshot') isSnapshot = true
      return path[0] === 'name' || path[0] === 'action' ? { maxBytes: MAX_NAME_BYTES } : 'skip'
    },
    captured(path, { bytes }) {
      const value: unknown = bytes === null ? null : JSON.parse(textOf(bytes))
      if (path[0] === 'action') isSnapshot ||= value === 'snapshot'
      else name = typeof value === 'string' ? value : ''
    },
  })
  scanner.push(entry)
  scanner.end()
  return { type: isSnapshot ? 'snapshot' : 'result', name }
}

/**
 * Gives the lines of one POST their event ids: the first 16 bytes of SHA-256 over node, type, k and the line's bytes,
 * where k says how many identical lines came before it in this POST. A resend gives every line the same id again,
 * while rows that are legitimately identical keep their number (spec 4.5).
 */
export class EventIds {
  readonly #nodeId: string
  readonly #seen = new Map<string, number>()

  constructor(nodeId: string) {
    this.#nodeId = nodeId
  }

  async next(type: LineType, line: Bytes): Promise<string> {
    const first = await this.#hash(type, line, 0)
    const before = this.#seen.get(first) ?? 0
    this.#seen.set(first, before + 1)
    return before === 0 ? first : this.#hash(type, line, before)
  }

  async #hash(type: LineType, line: Bytes, before: number): Promise<string> {
    const digest = await sha256(concatBytes([utf8(`${this.#nodeId}\n${type}\n${before}\n`), line]))
    return hexOf(digest.subarray(0, 16))
  }
}

/** Everything about an archived line but the line. `schema/log-line.schema.json` says the same to others. */
export interface LineHeader {
  format: number
  eventId: string
  environment: string
  /** Null for audit lines. */
  nodeId: string | null
  hostname: string | null
  platform: string | null
  tags: readonly string[]
  /** RFC 3339 with milliseconds. */
  receivedAt: string
  type: LineType
  /** As the agent wrote it; empty where it wrote none. Of type `query`: the query's id. Of `audit`: the action. */
  name: string
  /** The pack and the scheduled query that the name stands for in the configuration; null where that is unknown. */
  pack: string | null
  query: string | null
  /** The environment's configuration when the line was archived. */
  configurationVersion: number | null
  /** The entry's place in its POST or answer: what orders lines that were received at once. */
  index: number
}

export interface ArchivedLine {
  header: LineHeader
  line: Bytes
}

/** Readers accept this format and the one before it, which has no tags, pack, query, configurationVersion. */
const LINE_FORMAT = 2
/** Quotes inside the header's texts are escaped, so this occurs first where the line begins. */
const SPLICE = utf8(',"line":')
const END = utf8('}\n')
const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d
const SPACE = 0x20

/** What is the same for all lines of a body or an answer: whose they are, and what is known of that node. */
export interface LineSource {
  environmentId: string
  nodeId: string | null
  platform: string | null
  receivedAtMs: number
  /** This and the rest are best effort: null or empty where they could not be had. */
  hostname: string | null
  tags: readonly string[]
  configurationVersion: number | null
  retention: Retention
}

/** What a line's name stands for; both null where the configuration does not know it. */
export interface ScheduledName {
  pack: string | null
  query: string | null
}

/** What is a line's own. */
export interface EventFacts extends LineFacts, ScheduledName {
  eventId: string
  index: number
}

/** The line of NDJSON that is archived: the header with the agent's own bytes spliced in last. */
export function envelopeOf(source: LineSource, facts: EventFacts, line: Bytes): Bytes {
  const header: LineHeader = {
    format: LINE_FORMAT,
    eventId: facts.eventId,
    environment: source.environmentId,
    nodeId: source.nodeId,
    hostname: source.hostname,
    platform: source.platform,
    tags: source.tags,
    receivedAt: new Date(source.receivedAtMs).toISOString(),
    type: facts.type,
    name: facts.name,
    pack: facts.pack,
    query: facts.query,
    configurationVersion: source.configurationVersion,
    index: facts.index,
  }
  return envelopeOfLine({ header, line: onOneLine(line) })
}

/** The NDJSON of a line as `linesOf` gave it. */
export function envelopeOfLine({ header, line }: ArchivedLine): Bytes {
  const head = utf8(JSON.stringify(header).slice(0, -1))
  return concatBytes([head, SPLICE, line, END])
}

/**
 * Line breaks between tokens become spaces, because one line of NDJSON is one record. osqueryd never writes any
 * (inside strings JSON forbids them), so its bytes go on untouched.
 */
function onOneLine(line: Bytes): Bytes {
  if (!line.includes(LINE_FEED) && !line.includes(CARRIAGE_RETURN)) return line
  return line.map((byte) => (byte === LINE_FEED || byte === CARRIAGE_RETURN ? SPACE : byte))
}

/** Takes NDJSON of the archive apart. The lines point into `ndjson`. */
export function* linesOf(ndjson: Bytes): Generator<ArchivedLine> {
  let start = 0
  while (start < ndjson.length) {
    const end = ndjson.indexOf(LINE_FEED, start)
    const stop = end === -1 ? ndjson.length : end
    const splice = indexOfBytes(ndjson, SPLICE, start, stop)
    if (splice !== -1) {
      yield {
        header: headerOf(textOf(ndjson.subarray(start, splice))),
        line: ndjson.subarray(splice + SPLICE.length, stop - 1),
      }
    }
    start = stop + 1
  }
}

/** A header from its text up to the splice; one of the format before becomes one of this. */
function headerOf(text: string): LineHeader {
  const header = JSON.parse(`${text}}`) as LineHeader
  if (header.format >= LINE_FORMAT) return header
  return { ...header, format: LINE_FORMAT, tags: [], pack: null, query: null, configurationVersion: null }
}

function indexOfBytes(bytes: Bytes, wanted: Bytes, from: number, to: number): number {
  const [first] = wanted
  if (first === undefined) return from
  for (let at = bytes.indexOf(first, from); at !== -1 && at < to; at = bytes.indexOf(first, at + 1)) {
    if (wanted.every((byte, offset) => bytes[at + offset] === byte)) return at
  }
  return -1
}
