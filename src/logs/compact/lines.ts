/** Lines on their way from many objects into one: each once, sorted by node, cut into blocks. Pure. */

import type { Bytes } from '../../lib/bytes.ts'
import { linesOf } from '../line.ts'

const LINE_FEED = 0x0a
/** What closes an envelope behind the agent's JSON. */
const CLOSING = '}\n'
/** Inflated. A search for one node reads a block of each object: the smaller, the less; below this gzip gets worse. */
const BLOCK_BYTES = 256 * 1_024

/** One line, kept small: tens of thousands are held at once. The bytes stay where they were inflated to. */
export interface CompactLine {
  eventId: string
  /** Empty for lines of no node. */
  nodeId: string
  name: string
  index: number
  receivedAtMs: number
  /** The object that it came from. */
  sequence: number
  ndjson: Bytes
  /** Where the line begins in it, where the agent's own JSON does, and where it ends with its line feed. */
  start: number
  lineStart: number
  end: number
}

/** The whole line of NDJSON with its line feed. */
export function bytesOfLine({ ndjson, start, end }: CompactLine): Bytes {
  return ndjson.subarray(start, end)
}

/** The agent's own JSON. */
export function agentLine({ ndjson, lineStart, end }: CompactLine): Bytes {
  return ndjson.subarray(lineStart, end - CLOSING.length)
}

/** The lines of a piece of an object. `texts` keeps each node id and name once, however many pieces share it. */
export function* compactLinesOf(
  ndjson: Bytes,
  sequence: number,
  texts: Map<string, string>,
): Generator<CompactLine> {
  let start = 0
  while (start < ndjson.length) {
    const found = ndjson.indexOf(LINE_FEED, start)
    const end = found === -1 ? ndjson.length : found + 1
    for (const { header, line } of linesOf(ndjson.subarray(start, end))) {
      yield {
        eventId: header.eventId,
        nodeId: once(texts, header.nodeId ?? ''),
        name: once(texts, header.name),
        index: header.index,
        receivedAtMs: Date.parse(header.receivedAt),
        sequence,
        ndjson,
        start,
        lineStart: line.byteOffset - ndjson.byteOffset,
        end,
      }
    }
    start = end
  }
}

function once(texts: Map<string, string>, text: string): string {
  const known = texts.get(text)
  if (known === undefined) texts.set(text, text)
  return known ?? text
}

/** A set of lines in which each event is once. */
export class LineSet {
  readonly #lines = new Map<string, CompactLine>()
  #doubles = 0

  /** Lines that were dropped because their event is there already. */
  get doubles(): number {
    return this.#doubles
  }

  get size(): number {
    return this.#lines.size
  }

  /** Takes a line; of two with one id the newer stays, as readers would show it. */
  add(line: CompactLine): void {
    const known = this.#lines.get(line.eventId)
    if (known !== undefined) this.#doubles += 1
    if (known === undefined || isNewer(line, known)) this.#lines.set(line.eventId, line)
  }

  get(eventId: string): CompactLine | undefined {
    return this.#lines.get(eventId)
  }

  /** Drops a line that is somewhere else too. */
  drop(eventId: string): void {
    if (this.#lines.delete(eventId)) this.#doubles += 1
  }

  eventIds(): string[] {
    return [...this.#lines.keys()]
  }

  /** By node, then by time received, then by place in the POST. */
  sorted(): CompactLine[] {
    return [...this.#lines.values()].sort(
      (a, b) =>
        compareText(a.nodeId, b.nodeId) ||
        a.receivedAtMs - b.receivedAtMs ||
        a.index - b.index ||
        compareText(a.eventId, b.eventId),
    )
  }
}

/** Whether a copy of a line counts rather than another: it was received later, or indexed later at the same time. */
export function isNewer(
  a: Pick<CompactLine, 'receivedAtMs' | 'sequence'>,
  b: Pick<CompactLine, 'receivedAtMs' | 'sequence'>,
): boolean {
  return a.receivedAtMs === b.receivedAtMs ? a.sequence > b.sequence : a.receivedAtMs > b.receivedAtMs
}

/** Sorted lines in runs of a block each: at least one line. */
export function* blocksOf(sorted: readonly CompactLine[]): Generator<CompactLine[]> {
  let block: CompactLine[] = []
  let size = 0
  for (const line of sorted) {
    const length = line.end - line.start
    if (size > 0 && size + length > BLOCK_BYTES) {
      yield block
      block = []
      size = 0
    }
    block.push(line)
    size += length
  }
  if (block.length > 0) yield block
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
