/** A viewer over HTTP: an NDJSON body whose reader says how fast it goes. */

import type { Bytes } from '../../lib/bytes.ts'
import { ViewerQueue } from './viewer-queue.ts'
import { endLine, heartbeatLine, type Viewer, type Wanted } from './viewer.ts'

/** What may wait for one reader: 24 readers that stand still hold 48 MiB of an isolate's 128. */
const QUEUE = { maxLines: 10_000, maxBytes: 2 * 1_024 * 1_024 }
/** Silence after which a heartbeat is due; proxies cut what is silent for a minute or more. */
const BEAT_AFTER_MS = 15_000
/** A reader that took something so lately is worth a wait. */
const LIVELY_FOR_MS = 250
/** A reader that takes nothing for so long is gone, whatever its connection says. */
const STALLED_AFTER_MS = 10 * 60_000

export class StreamViewer implements Viewer {
  readonly tokenHash: string | null
  readonly wanted: Wanted
  readonly body: ReadableStream<Uint8Array>
  readonly #queue = new ViewerQueue(QUEUE)
  readonly #gone: () => void
  #change = Promise.withResolvers<void>()
  #takenAtMs = Date.now()
  #isOver = false

  /** `gone` is called once, when the reader has left. */
  constructor(tokenHash: string | null, wanted: Wanted, start: Bytes, gone: () => void) {
    this.tokenHash = tokenHash
    this.wanted = wanted
    this.#gone = gone
    this.offer(start)
    this.body = new ReadableStream(
      { pull: (controller) => this.#pull(controller), cancel: () => this.#leave() },
      { highWaterMark: 0 },
    )
  }

  /** Whether its reader has taken nothing for long. */
  isStalled(nowMs: number): boolean {
    return nowMs - this.#takenAtMs > STALLED_AFTER_MS
  }

  isBehind(nowMs: number): boolean {
    return this.#queue.isBehind && nowMs - this.#takenAtMs < LIVELY_FOR_MS
  }

  offer(item: Bytes): void {
    if (!this.#isOver) this.#queue.push(item)
  }

  miss(lines: number): void {
    this.#queue.miss(lines)
  }

  flush(): void {
    this.#change.resolve()
    this.#change = Promise.withResolvers()
  }

  /** Its own timer does that: whoever waits here keeps the object awake anyway. */
  beat(): void {}

  end(reason: string): void {
    this.#queue.finish(endLine(reason))
    this.#leave()
  }

  #leave(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.flush()
    this.#gone()
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    this.#takenAtMs = Date.now()
    if (this.#queue.isEmpty && !this.#isOver) {
      // The runtime cancels what waits for nothing but a promise of another request; a timer it understands.
      await Promise.race([this.#change.promise, scheduler.wait(BEAT_AFTER_MS)])
    }
    const lines = this.#queue.take()
    if (lines !== null) controller.enqueue(lines)
    else if (this.#isOver) controller.close()
    else {
      this.offer(heartbeatLine(Date.now()))
      controller.enqueue(this.#queue.take() ?? new Uint8Array())
    }
  }
}
