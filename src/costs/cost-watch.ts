/**
 * What the consumer hands to the objects that keep costs: one call for each object and batch. What is lost on the way is
 * lost for now only: agents report totals, so the next report has it. Only what status lines say does not come again.
 */

import { COST_QUERY_NAME } from '../config/built-in.ts'
import { noteDenied } from '../db/cost-rules.ts'
import { textOf } from '../lib/bytes.ts'
import { Deadline } from '../lib/deadline.ts'
import { environmentFactsOf } from '../logs/environment-facts.ts'
import type { LineWatch, WatchedLine } from '../logs/line-watch.ts'
import type { LogOrigin } from '../logs/message.ts'
import { BatchBuilder, type IsConfigured, type ObjectBatch, type SeenReport } from './batch-builder.ts'
import { MAX_LINE_BYTES } from './constants.ts'
import { costsStub } from './kinds.ts'
import { mayTellOfTrouble, readCostLine, readTroubleLine } from './report.ts'

/** Of one batch of a hundred messages; a row is some hundred bytes in memory. */
const MAX_ROWS_OF_BATCH = 50_000
const MAX_TROUBLES_OF_BATCH = 10_000
/** The batch's acknowledgements wait for this. */
const TAKEN_WITHIN_MS = 5_000
/** Objects that are called at once: six connections may wait (Workers limits). */
const AT_ONCE = 6

export class CostWatch implements LineWatch {
  readonly name = 'costs'
  readonly #env: Env
  readonly #reports: SeenReport[] = []
  readonly #troubles: { origin: LogOrigin; line: unknown }[] = []
  readonly #names = new Map<string, IsConfigured>()
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
      if (!mayTellOfTrouble(text)) return
      if (this.#troubles.length < MAX_TROUBLES_OF_BATCH)
        this.#troubles.push({ origin, line: JSON.parse(text) })
      else this.#leftOut += 1
    }
  }

  async finish(): Promise<void> {
    if (this.#leftOut > 0)
      console.warn(JSON.stringify({ event: 'cost-lines-left-out', lines: this.#leftOut }))
    const builder = new BatchBuilder()
    for (const report of this.#reports)
      await builder.addReport(report, await this.#isConfigured(report.origin.environmentId))
    for (const { origin, line } of this.#troubles) {
      const isConfigured = await this.#isConfigured(origin.environmentId)
      const trouble = readTroubleLine(line, isConfigured)
      if (trouble !== null) builder.addTrouble({ origin, trouble }, isConfigured)
    }
    const batches = builder.batches()
    const denied = new Set<string>()
    for (let i = 0; i < batches.length; i += AT_ONCE)
      await Promise.all(
        batches.slice(i, i + AT_ONCE).map(async (each) => {
          if (await this.#hand(each)) denied.add(each.environmentId)
        }),
      )
    // What pauses queries looks again then; each report with one says so anew, should this be lost.
    for (const environmentId of denied) await noteDenied(this.#env.DB, environmentId)
  }

  /** Whether a node told of a denied query. An object that fails keeps nothing from the others. */
  async #hand({ environmentId, ordinal, batch }: ObjectBatch): Promise<boolean> {
    try {
      const taken = costsStub(this.#env, environmentId, ordinal).take(batch)
      return (await new Deadline(TAKEN_WITHIN_MS).run(taken)).sawDenied
    } catch (error) {
      console.error(JSON.stringify({ event: 'costs-not-taken', environmentId, error: String(error) }))
      return false
    }
  }

  #seeReport(origin: LogOrigin, text: string): void {
    const reading = readCostLine(JSON.parse(text))
    if (reading === null) return
    this.#rows += reading.rows.length
    if (this.#rows > MAX_ROWS_OF_BATCH) this.#leftOut += 1
    else this.#reports.push({ origin, reading })
  }

  /** Names are looked up in the environment's configuration; one look for all lines. */
  async #isConfigured(environmentId: string): Promise<IsConfigured> {
    const known = this.#names.get(environmentId)
    if (known !== undefined) return known
    const facts = await environmentFactsOf(this.#env, environmentId)
    const isConfigured = (name: string) => facts.nameOf(name).query !== null
    this.#names.set(environmentId, isConfigured)
    return isConfigured
  }
}
