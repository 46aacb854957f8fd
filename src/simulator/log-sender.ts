/** Sends the waiting lines and keeps them until they are acknowledged (specification 2.3, 4.4, 4.5). */
import type { Result } from '../lib/result.ts'
import type { AgentEvent } from './agent-options.ts'
import type { Counters } from './counters.ts'
import type { LineKind, LogBatch, LogBuffer, LogLine } from './log-buffer.ts'
import type { Session } from './session.ts'
import type { Flags } from './settings.ts'
import { booleanFlag, numberFlag } from './settings.ts'

export interface LogSenderOptions {
  readonly session: Session
  readonly buffer: LogBuffer
  readonly counters: Counters
  readonly flags: () => Flags
  readonly now: () => number
  readonly keptLines: number
  /** Wait longer and longer after failures, as osquery >= 5.12.0 does. */
  readonly hasBackoff: boolean
  readonly onEvent: (event: AgentEvent) => void
  /** Told of the lines of a POST, before it is sent and when it was acknowledged. */
  readonly onBatch: (stage: 'sent' | 'acknowledged', batch: LogBatch) => void
  /** Told of old lines that were thrown away because too many wait. */
  readonly onPurged: (lines: number) => void
  /** Told of a line that is too long to be ever sent. */
  readonly onOversized: (line: LogLine) => void
}

/** One POST of a flush. */
export interface FlushedBatch {
  readonly kind: LineKind
  readonly lines: number
  readonly outcome: Result<unknown, string>
}

/** Sends batches with osqueryd's back-off per kind. */
export class LogSender {
  readonly #options: LogSenderOptions
  readonly #failures: Record<LineKind, { count: number; untilMs: number }> = {
    result: { count: 0, untilMs: 0 },
    status: { count: 0, untilMs: 0 },
  }
  /** The last lines that were sent, each time they were; bounded by `keptLines`. */
  readonly sentLines: LogLine[] = []
  /** The last lines that the server acknowledged; bounded by `keptLines`. */
  readonly acknowledgedLines: LogLine[] = []

  constructor(options: LogSenderOptions) {
    this.#options = options
  }

  /**
   * At most two POSTs: results, then statuses; then what is too much is thrown away. `respectsBackoff` leaves out a kind
   * that waits after a failure.
   */
  async flush(respectsBackoff: boolean): Promise<FlushedBatch[]> {
    const { buffer, flags, now } = this.#options
    const maxLines = numberFlag(flags(), 'logger_tls_max_lines')
    const flushed: FlushedBatch[] = []
    for (const batch of buffer.batches(maxLines, numberFlag(flags(), 'logger_tls_max_linesize'))) {
      if (respectsBackoff && this.#failures[batch.kind].untilMs > now()) continue
      flushed.push(await this.#send(batch))
    }
    this.#purge()
    return flushed
  }

  async #send(batch: LogBatch): Promise<FlushedBatch> {
    const { buffer, counters, flags, onBatch, onEvent, onOversized, session } = this.#options
    const isGzip = booleanFlag(flags(), 'logger_tls_compress')
    counters.lines.sent += batch.lines.length
    this.#keep(this.sentLines, batch.lines)
    onBatch('sent', batch)
    const outcome = await session.call('log', (key) => logBody(batch, key, isGzip), {
      gzip: isGzip,
      onFalseSuccess: () => {
        counters.lines.dropped += batch.lines.length
      },
    })
    if (outcome.ok) {
      buffer.acknowledge(batch)
      counters.lines.acknowledged += batch.lines.length
      counters.lines.dropped += batch.oversized.length
      batch.oversized.forEach(onOversized)
      this.#keep(this.acknowledgedLines, batch.lines)
      onBatch('acknowledged', batch)
      this.#failures[batch.kind] = { count: 0, untilMs: 0 }
      onEvent({ kind: 'lines-acknowledged', lineKind: batch.kind, lines: batch.lines.length })
    } else {
      this.#failures[batch.kind] = this.#nextFailure(batch.kind)
    }
    return { kind: batch.kind, lines: batch.lines.length, outcome }
  }

  #purge(): void {
    const { buffer, counters, flags, onPurged } = this.#options
    const purged = buffer.purge(numberFlag(flags(), 'buffered_log_max'))
    if (purged === 0) return
    counters.lines.purged += purged
    onPurged(purged)
  }

  #nextFailure(kind: LineKind): { count: number; untilMs: number } {
    const flags = this.#options.flags()
    const count = this.#failures[kind].count + 1
    if (!this.#options.hasBackoff) return { count, untilMs: 0 }
    const waitSeconds = Math.min(
      numberFlag(flags, 'logger_tls_period') * count * count,
      numberFlag(flags, 'logger_tls_backoff_max'),
    )
    return { count, untilMs: this.#options.now() + waitSeconds * 1000 }
  }

  #keep(kept: LogLine[], lines: readonly LogLine[]): void {
    kept.push(...lines)
    if (kept.length > this.#options.keptLines) kept.splice(0, kept.length - this.#options.keptLines)
  }
}

// Lines go out as the text they were made as. The member order is that of osqueryd, which differs with compression.
function logBody(batch: LogBatch, nodeKey: string, isGzip: boolean): string {
  const data = `"data":[${batch.lines.map((line) => line.text).join(',')}]`
  const [type, key] = [`"log_type":"${batch.kind}"`, `"node_key":${JSON.stringify(nodeKey)}`]
  return isGzip ? `{${key},${type},${data}}` : `{${data},${type},${key}}`
}
