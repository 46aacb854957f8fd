/**
 * What looks at lines while the consumer takes them into the archive: the inventory, the costs of queries. Lines come
 * first: a watch is told after they are durable, and nothing that it does can lose or hold one.
 */

import type { Bytes } from '../lib/bytes.ts'
import { Deadline } from '../lib/deadline.ts'
import type { LineFacts } from './line.ts'
import type { LogOrigin } from './message.ts'

/** A batch's acknowledgements wait for the watches, so they get this long in all. */
const FINISH_WITHIN_MS = 10_000

/** One line as a watch sees it. The bytes are the agent's, and point into its body: copy what is kept. */
export interface WatchedLine extends LineFacts {
  origin: LogOrigin
  /** Its place in its POST. */
  index: number
  bytes: Bytes
}

export interface LineWatch {
  /** For log lines of trouble. */
  readonly name: string
  /** Sees one line. Called for every line of a batch: what it does not want must cost next to nothing. */
  see(line: WatchedLine): void
  /** Does what is to be done for the batch: few calls, whatever it held. Lines may come again: it must bear that. */
  finish(): Promise<void>
}

/** The watches of one batch. Never throws. */
export class LineWatches {
  readonly #watches: readonly LineWatch[]

  constructor(watches: readonly LineWatch[]) {
    this.#watches = watches
  }

  see(line: WatchedLine): void {
    for (const watch of this.#watches) {
      try {
        watch.see(line)
      } catch (error) {
        failed(watch, error)
      }
    }
  }

  async finish(): Promise<void> {
    const deadline = new Deadline(FINISH_WITHIN_MS)
    await Promise.all(
      this.#watches.map(async (watch) => {
        try {
          await deadline.run(watch.finish())
        } catch (error) {
          failed(watch, error)
        }
      }),
    )
  }
}

function failed({ name }: LineWatch, error: unknown): void {
  console.error(JSON.stringify({ event: 'line-watch-failed', watch: name, error: String(error) }))
}
