/** What becomes of one log body: lines for the archive, and what is put aside instead (spec 2.3 and 4, design R5). */

import { concatBytes, utf8, type Bytes } from '../lib/bytes.ts'
import { MAX_LOG_BODY_BYTES } from '../agent/constants.ts'
import type { ArchiveWriter } from './archive-writer.ts'
import { entriesOf, surveyBody, type BodyEntry, type BodySurvey } from './body-survey.ts'
import type { Delivery } from './delivery.ts'
import { envelopeOf, EventIds, factsOfResult, type LineFacts, type LineSource } from './line.ts'
import type { LineWatches } from './line-watch.ts'
import { putQuarantine, type QuarantineReason } from './quarantine.ts'
import { sourceOf, UNKNOWN_NAME, type SourceFacts } from './source-facts.ts'

const ROUTE = 'log'
const STATUS: LineFacts = { type: 'status', name: '' }
const LINE_FEED = utf8('\n')

/** Hands a body's lines to the writer. Throws when R2 fails; taking the same body again later is harmless. */
export async function archiveBody(
  env: Env,
  delivery: Delivery,
  facts: SourceFacts,
  writer: ArchiveWriter,
  watches: LineWatches,
): Promise<void> {
  if (delivery.body.receivedBytes > MAX_LOG_BODY_BYTES) return putAside(env, delivery, 'too-large')
  const survey = await surveyBody(delivery.body)
  if (!survey.ok) return putAside(env, delivery, survey.reason)
  const { logType, data, entries } = survey.value
  const fault = faultOf(survey.value)
  if (fault !== null) return putAside(env, delivery, fault)
  if (data === 'nothing') return
  const sorted = new EntrySorter(delivery, facts, logType === 'status', writer, watches)
  for await (const entry of entries ?? entriesOf(delivery.body)) await sorted.take(entry)
  if (sorted.tooLarge) await putAside(env, delivery, 'line-too-large')
  if (sorted.strays.length > 0) await putStrays(env, delivery, sorted.strays)
}

function faultOf({ logType, data }: BodySurvey): QuarantineReason | null {
  if (logType !== 'status' && logType !== 'result') {
    return logType === null && data === 'nothing' ? null : 'unknown-log-type'
  }
  return data === 'unexpected' ? 'unexpected-shape' : null
}

/** Lines to the writer, what is no object to one side. */
class EntrySorter {
  readonly strays: Bytes[] = []
  tooLarge = false
  readonly #delivery: Delivery
  readonly #facts: SourceFacts
  readonly #source: LineSource
  readonly #isStatus: boolean
  readonly #writer: ArchiveWriter
  readonly #watches: LineWatches
  readonly #ids: EventIds

  constructor(
    delivery: Delivery,
    facts: SourceFacts,
    isStatus: boolean,
    writer: ArchiveWriter,
    watches: LineWatches,
  ) {
    this.#delivery = delivery
    this.#facts = facts
    this.#source = sourceOf(delivery.origin, facts)
    this.#isStatus = isStatus
    this.#writer = writer
    this.#watches = watches
    this.#ids = new EventIds(delivery.origin.nodeId)
  }

  async take({ index, isObject, bytes }: BodyEntry): Promise<void> {
    if (bytes === null) this.tooLarge = true
    else if (!isObject) this.strays.push(bytes.slice())
    else {
      const { type, name } = this.#isStatus ? STATUS : factsOfResult(bytes)
      const eventId = await this.#ids.next(type, bytes)
      const { pack, query } = name === '' ? UNKNOWN_NAME : this.#facts.nameOf(name)
      const facts = { type, name, pack, query, eventId, index }
      const envelope = envelopeOf(this.#source, facts, bytes)
      await this.#writer.add(this.#delivery.sourceId, this.#source, facts, envelope)
      this.#watches.see({ origin: this.#delivery.origin, type, name, index, bytes })
    }
  }
}

async function putAside(env: Env, delivery: Delivery, reason: QuarantineReason): Promise<void> {
  await putQuarantine(env, { ...delivery.origin, ...(await delivery.body.content()), reason, route: ROUTE })
}

async function putStrays(env: Env, { origin }: Delivery, strays: readonly Bytes[]): Promise<void> {
  const bytes = concatBytes(strays.flatMap((stray) => [stray, LINE_FEED]))
  await putQuarantine(env, { ...origin, bytes, reason: 'not-an-object', route: ROUTE })
}
