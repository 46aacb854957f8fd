/** The queue of log lines that wait for an acknowledgement (specification 4.4, 4.5). */

/** `log_type` of a line. */
export type LineKind = 'result' | 'status'

/** A line, exactly as it is sent. Its text never changes between tries. */
export interface LogLine {
  readonly kind: LineKind
  readonly text: string
}

/** A batch for one POST: `lines` to send, and how many queue entries its acknowledgement removes. */
export interface LogBatch {
  readonly kind: LineKind
  readonly lines: readonly LogLine[]
  /** Lines over the size limit: never sent, gone with the acknowledgement. */
  readonly oversized: readonly LogLine[]
}

/** osqueryd's `buffered_log_max`: beyond it the oldest lines are purged. */
const MAX_BUFFERED_LINES = 1_000_000

/** Lines in the order in which osqueryd sends them: results before statuses, each kind oldest first. */
export class LogBuffer {
  readonly #lines: Record<LineKind, LogLine[]> = { result: [], status: [] }

  constructor(lines: readonly LogLine[] = []) {
    for (const line of lines) this.#lines[line.kind].push(line)
  }

  get size(): number {
    return this.#lines.result.length + this.#lines.status.length
  }

  /** All waiting lines, for keeping them over a restart. */
  get lines(): readonly LogLine[] {
    return [...this.#lines.result, ...this.#lines.status]
  }

  /** Adds a line; returns how many old ones were purged to make room. */
  add(line: LogLine): number {
    this.#lines[line.kind].push(line)
    if (this.size <= MAX_BUFFERED_LINES) return 0
    const oldest = this.#lines.result.length > 0 ? this.#lines.result : this.#lines.status
    oldest.shift()
    return 1
  }

  /**
   * The batches of one period: the first `maxLines` of both kinds together. Results sort first, so that statuses starve
   * while that many results wait, as they do in osqueryd. Lines over `maxLineBytes` are dropped from the batch.
   */
  batches(maxLines: number, maxLineBytes: number): LogBatch[] {
    const results = this.#lines.result.slice(0, maxLines)
    const statuses = this.#lines.status.slice(0, maxLines - results.length)
    return [toBatch('result', results, maxLineBytes), toBatch('status', statuses, maxLineBytes)].filter(
      (batch) => batch.lines.length + batch.oversized.length > 0,
    )
  }

  /** Forgets a batch after its acknowledgement. */
  acknowledge(batch: LogBatch): void {
    this.#lines[batch.kind].splice(0, batch.lines.length + batch.oversized.length)
  }
}

function toBatch(kind: LineKind, lines: readonly LogLine[], maxLineBytes: number): LogBatch {
  const fits = (line: LogLine) => Buffer.byteLength(line.text) <= maxLineBytes
  return { kind, lines: lines.filter(fits), oversized: lines.filter((line) => !fits(line)) }
}
