/** Lines on their way from many objects into one: each once, sorted by node, cut into blocks. Pure. */

import type { Bytes } from '../../lib/bytes.ts'
import { linesOf, type LineHeader } from '../line.ts'

const LINE_FEED = 0x0a
/** Inflated. A search for one node reads a block of each object: the smaller, the less; below this gzip gets worse. */
const BLOCK_BYTES = 256 * 1_024

export interface CompactLine {
  header: LineHeader
  /** Empty for lines of no node. */
  nodeId: string
  receivedAtMs: number
  /** The object that it came from. */
  sequence: number
  /** The agent's own. */
  line: Bytes
  /** The whole line of NDJSON with its line feed. */
  bytes: Bytes
}

/** The lines of a piece of an object. They point into `ndjson`. */
export function* compactLinesOf(ndjson: Bytes, sequence: number): Generator<CompactLine> {
  let start = 0
  while (start < ndjson.length) {
    const end = ndjson.indexOf(LINE_FEED, start)
    const stop = end === -1 ? ndjson.length : end + 1
    const bytes = ndjson.subarray(start, stop)
    for (const { header, line } of linesOf(bytes)) {
      const receivedAtMs = Date.parse(header.receivedAt)
      yield { header, nodeId: header.nodeId ?? '', receivedAtMs, sequence, line, bytes }
    }
    start = stop
  }
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
    const known = this.#lines.get(line.header.eventId)
    if (known !== undefined) this.#doubles += 1
    if (known === undefined || isNewer(line, known)) this.#lines.set(line.header.eventId, line)
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
        a.header.index - b.header.index ||
        compareText(a.header.eventId, b.header.eventId),
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
    if (size > 0 && size + line.bytes.length > BLOCK_BYTES) {
      yield block
      block = []
      size = 0
    }
    block.push(line)
    size += line.bytes.length
  }
  if (block.length > 0) yield block
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
