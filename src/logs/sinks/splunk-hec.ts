/**
 * Splunk's HTTP Event Collector. With acknowledgements a batch is delivered once Splunk says that it is indexed, else
 * once it was taken (Splunk: About HTTP Event Collector Indexer Acknowledgment).
 */

import { z } from '@hono/zod-openapi'
import { concatBytes, utf8, type Bytes } from '../../lib/bytes.ts'
import { gzip } from '../../lib/compression.ts'
import { ok } from '../../lib/result.ts'
import type { ArchivedLine } from '../line.ts'
import { retryAfterMsOf } from './retry-after.ts'
import { baseUrl, headerToken, urlBelow } from './settings.ts'
import type {
  DeliveryOutcome,
  RejectedLine,
  Send,
  SendReply,
  SinkBatch,
  SinkKind,
  SinkTarget,
} from './sink-kind.ts'
import { hecEventOf } from './splunk-hec-event.ts'
import { readAcks, readHecReply } from './splunk-hec-reply.ts'

const settings = z.strictObject({
  url: baseUrl.openapi({ description: 'Without the path, like https://http-inputs-acme.splunkcloud.com' }),
  index: z
    .string()
    .regex(/^[a-z0-9_][a-z0-9_-]{0,79}$/, 'is not the name of an index')
    .nullable()
    .default(null)
    .openapi({ description: "Null: the token's own" }),
  source: z.string().min(1).max(256).default('osquery-edge'),
  acknowledgements: z
    .boolean()
    .default(false)
    .openapi({ description: 'Wait until Splunk has indexed (the token has useACK)' }),
})
const secrets = z.strictObject({ token: headerToken })

export type HecSettings = z.infer<typeof settings>
export type HecSecrets = z.infer<typeof secrets>
type Target = SinkTarget<HecSettings, HecSecrets>

/** What a batch remembers between two attempts. */
const hecState = z.object({
  rejected: z.array(z.object({ eventId: z.string(), reason: z.string() })),
  /** What to ask for, and since when. Null: the lines are not with Splunk. */
  asked: z.object({ ackId: z.int(), sinceMs: z.number() }).nullable(),
})
type HecState = z.infer<typeof hecState>

/** Splunk's own figures: ask every few seconds, send again after some minutes without. */
const FIRST_CHECK_MS = 2_000
const CHECK_EVERY_MS = 10_000
const ACK_WITHIN_MS = 5 * 60_000
/** Bad events that one attempt takes out of its batch, one request each. */
const MAX_BAD_EVENTS = 20

export const splunkHecKind: SinkKind<HecSettings, HecSecrets> = {
  name: 'splunk-hec',
  settings,
  secrets,
  // Its max_content_length was 1 MB once and is 800 MB now; heavy forwarders and load balancers say 413 sooner.
  limits: { maxBatchBytes: 5 * 1_024 * 1_024, maxBatchLines: 10_000 },
  endpoint: ({ url }) => ok({ pointer: '/settings/url', url: eventUrl(url) }),
  deliver: (batch, sink, send) => new HecAttempt(batch, sink, send).run(),
}

function eventUrl(url: string): string {
  return urlBelow(url, 'services/collector/event')
}

class HecAttempt {
  readonly #batch: SinkBatch
  readonly #sink: Target
  readonly #send: Send
  readonly #rejected: RejectedLine[]
  readonly #asked: HecState['asked']

  constructor(batch: SinkBatch, sink: Target, send: Send) {
    const state = hecState.safeParse(sink.state)
    this.#batch = batch
    this.#sink = sink
    this.#send = send
    this.#rejected = state.success ? [...state.data.rejected] : []
    this.#asked = state.success ? state.data.asked : null
  }

  async run(): Promise<DeliveryOutcome> {
    const asked = this.#asked
    if (asked === null) return this.#sendEvents()
    const isLate = this.#batch.nowMs - asked.sinceMs > ACK_WITHIN_MS
    return isLate ? this.#sendEvents() : this.#askAgain(asked)
  }

  /** Sends what Splunk has not called bad, without each event that it calls bad now. */
  async #sendEvents(): Promise<DeliveryOutcome> {
    const known = new Set(this.#rejected.map(({ eventId }) => eventId))
    const lines = this.#batch.lines.filter(({ header }) => !known.has(header.eventId))
    for (let found = 0; found < MAX_BAD_EVENTS; found += 1) {
      if (lines.length === 0) return { kind: 'delivered', rejected: this.#rejected }
      const reply = await this.#post(eventUrl(this.#sink.settings.url), await this.#eventsOf(lines))
      const outcome = readHecReply(reply.status, reply.body)
      if (outcome.kind === 'accepted') return this.#accepted(outcome.ackId)
      if (outcome.kind === 'retry') return this.#retry(outcome.reason, reply, null)
      if (outcome.kind !== 'bad-event') return outcome
      const [bad] = lines.splice(outcome.at, 1)
      if (bad === undefined) return { kind: 'split', reason: outcome.reason, cause: 'content' }
      this.#rejected.push({ eventId: bad.header.eventId, reason: outcome.reason })
    }
    return { kind: 'split', reason: `more than ${MAX_BAD_EVENTS} events were refused`, cause: 'content' }
  }

  async #eventsOf(lines: readonly ArchivedLine[]): Promise<Bytes> {
    const events = concatBytes(lines.map((line) => hecEventOf(line, this.#sink.settings)))
    return this.#sink.gzip ? gzip(events) : events
  }

  #accepted(ackId: number | null): DeliveryOutcome {
    if (!this.#sink.settings.acknowledgements) return { kind: 'delivered', rejected: this.#rejected }
    if (ackId === null)
      return { kind: 'refused', reason: 'acknowledgements: the token gives none (useACK is off)' }
    return this.#pending({ ackId, sinceMs: this.#batch.nowMs }, FIRST_CHECK_MS)
  }

  async #askAgain(asked: NonNullable<HecState['asked']>): Promise<DeliveryOutcome> {
    const url = `${urlBelow(this.#sink.settings.url, 'services/collector/ack')}?channel=${this.#sink.id}`
    const reply = await this.#post(url, utf8(JSON.stringify({ acks: [asked.ackId] })), false)
    const acks = readAcks(reply.status, reply.body)
    if (acks?.has(asked.ackId) === true) return { kind: 'delivered', rejected: this.#rejected }
    if (acks !== null) return this.#pending(asked, CHECK_EVERY_MS)
    const outcome = readHecReply(reply.status, reply.body)
    if (outcome.kind === 'refused') return outcome
    const reason =
      outcome.kind === 'accepted' ? 'its answer says nothing of acknowledgements' : outcome.reason
    return this.#retry(reason, reply, asked)
  }

  #pending(asked: NonNullable<HecState['asked']>, checkAfterMs: number): DeliveryOutcome {
    const reason = 'Splunk has not said yet that it is indexed'
    return { kind: 'pending', reason, checkAfterMs, state: { rejected: this.#rejectedState(), asked } }
  }

  #retry(reason: string, { headers }: SendReply, asked: HecState['asked']): DeliveryOutcome {
    const retryAfterMs = retryAfterMsOf(headers, this.#batch.nowMs)
    return { kind: 'retry', reason, retryAfterMs, state: { rejected: this.#rejectedState(), asked } }
  }

  #rejectedState(): { eventId: string; reason: string }[] {
    return this.#rejected.map((line) => ({ ...line }))
  }

  #post(url: string, body: Bytes, isGzip = this.#sink.gzip): Promise<SendReply> {
    const headers: Record<string, string> = {
      authorization: `Splunk ${this.#sink.secrets.token}`,
      'content-type': 'application/json',
      ...(isGzip ? { 'content-encoding': 'gzip' } : {}),
      // A channel for each sink, as Splunk asks of clients that want acknowledgements.
      ...(this.#sink.settings.acknowledgements ? { 'x-splunk-request-channel': this.#sink.id } : {}),
    }
    return this.#send(url, { method: 'POST', headers, body })
  }
}
