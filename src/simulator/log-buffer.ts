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

interface Entry {
  /** The database key without prefix and kind: `<unixtime>_<n>`. "" came from an earlier life: before all others. */
  readonly key: string
  readonly line: LogLine
}

/**
 * Lines in the order in which osqueryd sends them: results before statuses, each kind by database key. Keys are compared
 * as text, and `n` counts without leading zeros, so that within a second line 10 goes before line 2.
 */
export class LogBuffer {
  readonly #entries: Record<LineKind, Entry[]> = { result: [], status: [] }
  readonly #batched = new WeakMap<LogBatch, ReadonlySet<Entry>>()
  #count = 0

  constructor(lines: readonly LogLine[] = []) {
    for (const line of lines) this.#entries[line.kind].push({ key: '', line })
  }

  get size(): number {
    return this.#entries.result.length + this.#entries.status.length
  }

  /** All waiting lines, for keeping them over a restart. */
  get lines(): readonly LogLine[] {
    return [...this.#entries.result, ...this.#entries.status].map(({ line }) => line)
  }

  /** Adds a line of that second (since 1970). Nothing is refused here: see {@link LogBuffer.purge}. */
  add(line: LogLine, unixSeconds: number): void {
    this.#count += 1
    const entry = { key: `${unixSeconds}_${this.#count}`, line }
    const entries = this.#entries[line.kind]
    // From the end, because time goes on: only lines of the same second come after.
    let place = entries.length
    while (place > 0 && (entries[place - 1]?.key ?? '') > entry.key) place -= 1
    entries.splice(place, 0, entry)
  }

  /**
   * The batches of one period: the first `maxLines` of both kinds together. Results sort first, so that statuses starve
   * while that many results wait, as they do in osqueryd. Lines over `maxLineBytes` are dropped from the batch.
   */
  batches(maxLines: number, maxLineBytes: number): LogBatch[] {
    const results = this.#entries.result.slice(0, maxLines)
    const statuses = this.#entries.status.slice(0, maxLines - results.length)
    return [
      this.#toBatch('result', results, maxLineBytes),
      this.#toBatch('status', statuses, maxLineBytes),
    ].filter((batch) => batch.lines.length + batch.oversized.length > 0)
  }

  /** Forgets a batch after its acknowledgement; what was purged since is gone already. */
  acknowledge(batch: LogBatch): void {
    const gone = this.#batched.get(batch) ?? new Set()
    this.#entries[batch.kind] = this.#entries[batch.kind].filter((entry) => !gone.has(entry))
  }

  /** Throws away the oldest lines of both kinds beyond `maxLines` (`buffered_log_max`; 0: no limit); gives how many. */
  purge(maxLines: number): number {
    const excess = maxLines === 0 ? 0 : Math.max(0, this.size - maxLines)
    const { result, status } = this.#entries
    let [results, statuses] = [0, 0]
    while (results + statuses < excess) {
      const [a, b] = [result[results], status[statuses]]
      if (a && (!b || a.key <= b.key)) results += 1
      else statuses += 1
    }
    if (excess > 0) {
      this.#entries.result = result.slice(results)
      this.#entries.status = status.slice(statuses)
    }
    return excess
  }

  #toBatch(kind: LineKind, entries: readonly Entry[], maxLineBytes: number): LogBatch {
    const lines = entries.map(({ line }) => line)
    const fits = (line: LogLine) => Buffer.byteLength(line.text) <= maxLineBytes
    const batch = { kind, lines: lines.filter(fits), oversized: lines.filter((line) => !fits(line)) }
    this.#batched.set(batch, new Set(entries))
    return batch
  }
}
