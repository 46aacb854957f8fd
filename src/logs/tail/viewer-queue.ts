/**
 * Lines on their way to one viewer, as many as it may have waiting. What comes while there is no room is counted and
 * told as a gap, in its place: a slow reader knows what it missed and costs nobody anything. Pure.
 */

import { concatBytes, utf8, type Bytes } from '../../lib/bytes.ts'

export interface QueueLimits {
  maxLines: number
  maxBytes: number
}

/** One chunk of an NDJSON body. */
const MAX_CHUNK_BYTES = 256 * 1_024
const LINE_FEED = utf8('\n')

export class ViewerQueue {
  readonly #limits: QueueLimits
  #items: Bytes[] = []
  #bytes = 0
  #missed = 0
  #last: Bytes | null = null

  constructor(limits: QueueLimits) {
    this.#limits = limits
  }

  get isEmpty(): boolean {
    return this.#items.length === 0 && this.#missed === 0 && this.#last === null
  }

  /** Whether it fills up: half of what may wait, waits. */
  get isBehind(): boolean {
    return 2 * this.#bytes > this.#limits.maxBytes || 2 * this.#items.length > this.#limits.maxLines
  }

  /** Takes a line, or counts it. After a gap it takes lines again once all that came before was taken. */
  push(item: Bytes): void {
    const { maxLines, maxBytes } = this.#limits
    const hasRoom = this.#items.length < maxLines && this.#bytes + item.length <= maxBytes
    // One line alone always has room, however long.
    if (this.#missed > 0 || (!hasRoom && this.#items.length > 0)) {
      this.#missed += 1
      return
    }
    this.#items.push(item)
    this.#bytes += item.length
  }

  /** Counts lines that never came this far. */
  miss(lines: number): void {
    this.#missed += lines
  }

  /** Takes what comes after everything else. */
  finish(item: Bytes): void {
    this.#last = item
  }

  /** The next lines, each with its line feed, and the gap after the last of them; null where there is nothing. */
  take(): Bytes | null {
    if (this.isEmpty) return null
    const parts: Bytes[] = []
    let taken = 0
    let bytes = 0
    for (const item of this.#items) {
      if (taken > 0 && bytes + item.length > MAX_CHUNK_BYTES) break
      parts.push(item, LINE_FEED)
      taken += 1
      bytes += item.length
    }
    this.#items = this.#items.slice(taken)
    this.#bytes -= bytes
    if (this.#items.length === 0 && this.#missed > 0) {
      parts.push(utf8(gapLine(this.#missed)), LINE_FEED)
      this.#missed = 0
    }
    if (this.#items.length === 0 && this.#last !== null) {
      parts.push(this.#last, LINE_FEED)
      this.#last = null
    }
    return concatBytes(parts)
  }
}

/** What a viewer is told in the place of lines that it did not get. */
export function gapLine(lines: number): string {
  return JSON.stringify({ type: 'gap', lines })
}
