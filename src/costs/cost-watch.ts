/**
 * What the consumer hands to the objects that keep costs: one call for each object and batch. What is lost on the way is
 * lost for now only: agents report totals, so the next report has it. Only counted errors do not come again.
 */

import { COST_QUERY_NAME } from '../config/built-in.ts'
import { noteDenied } from '../db/cost-rules.ts'
import { textOf } from '../lib/bytes.ts'
import { Deadline } from '../lib/deadline.ts'
import { environmentFactsOf } from '../logs/environment-facts.ts'
import type { LineWatch, WatchedLine } from '../logs/line-watch.ts'
import type { LogOrigin } from '../logs/message.ts'
import { BatchBuilder, type SeenError, type SeenReport } from './batch-builder.ts'
import { MAX_LINE_BYTES } from './constants.ts'
import { costsStub } from './kinds.ts'
import { mayTellOfError, readCostLine, readErrorLine } from './report.ts'

/** Of one batch of a hundred messages; a row is some hundred bytes in memory. */
const MAX_ROWS_OF_BATCH = 50_000
const MAX_ERRORS_OF_BATCH = 10_000
/** The batch's acknowledgements wait for this. */
const TAKEN_WITHIN_MS = 5_000
/** Objects that are called at once: six connections may wait (Workers limits). */
const AT_ONCE = 6

export class CostWatch implements LineWatch {
  readonly name = 'costs'
  readonly #env: Env
  readonly #reports: SeenReport[] = []
  readonly #errors: { origin: LogOrigin; line: unknown }[] = []
  #rows = 0
  #leftOut = 0

  constructor(env: Env) {
    this.#env = env
  }

  see({ origin, type, name, bytes }: WatchedLine): void {
    if (bytes.length > MAX_LINE_BYTES) return
    if (type === 'snapshot' && name === COST_QUERY_NAME) this.#seeReport(origin, textOf(bytes))
    else if (type === 'status') {
      const text = textOf(bytes)
      if (!mayTellOfError(text)) return
      if (this.#errors.length < MAX_ERRORS_OF_BATCH) this.#errors.push({ origin, line: JSON.parse(text) })
      else this.#leftOut += 1
    }
  }

  async finish(): Promise<void> {
    if (this.#leftOut > 0)
      console.warn(JSON.stringify({ event: 'cost-lines-left-out', lines: this.#leftOut }))
    const builder = new BatchBuilder()
    for (const report of this.#reports) await builder.addReport(report)
    for (const error of await this.#namedErrors()) builder.addError(error)
    const batches = builder.batches()
    const denied = new Set<string>()
    for (let i = 0; i < batches.length; i += AT_ONCE)
      await Promise.all(
        batches.slice(i, i + AT_ONCE).map(async ({ environmentId, ordinal, batch }) => {
          const taken = costsStub(this.#env, environmentId, ordinal).take(batch)
          const { sawDenied } = await new Deadline(TAKEN_WITHIN_MS).run(taken)
          if (sawDenied) denied.add(environmentId)
        }),
      )
    // What pauses queries looks again then; each report with one says so anew, should this be lost.
    for (const environmentId of denied) await noteDenied(this.#env.DB, environmentId)
  }

  #seeReport(origin: LogOrigin, text: string): void {
    const reading = readCostLine(JSON.parse(text))
    if (reading === null) return
    this.#rows += reading.rows.length
    if (this.#rows > MAX_ROWS_OF_BATCH) this.#leftOut += 1
    else this.#reports.push({ origin, reading })
  }

  /** Names are looked up in the environment's configuration. */
  async #namedErrors(): Promise<SeenError[]> {
    const named: SeenError[] = []
    for (const [environmentId, lines] of Map.groupBy(this.#errors, ({ origin }) => origin.environmentId)) {
      const facts = await environmentFactsOf(this.#env, environmentId)
      for (const { origin, line } of lines) {
        const error = readErrorLine(line, (name) => facts.nameOf(name).query !== null)
        if (error !== null) named.push({ origin, error })
      }
    }
    return named
  }
}
