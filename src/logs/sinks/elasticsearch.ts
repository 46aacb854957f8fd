/**
 * Elasticsearch and OpenSearch: `_bulk` into data streams, `create` with our event id as `_id`, so that a batch that is
 * sent again finds its documents there (409) and changes nothing.
 */

import { z } from '@hono/zod-openapi'
import { concatBytes, utf8, type Bytes } from '../../lib/bytes.ts'
import { gzip } from '../../lib/compression.ts'
import { ok } from '../../lib/result.ts'
import type { ArchivedLine } from '../line.ts'
import { ecsDocumentOf } from './ecs.ts'
import { readBulkReply, type ItemOutcome } from './elasticsearch-reply.ts'
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

/** Names of data streams (Elasticsearch: Create data stream). `{type}` stands for the line's type. */
const DATA_STREAM = /^[a-z0-9][a-z0-9._-]*(\{type\}[a-z0-9._-]*)?$/
const MAX_DATA_STREAM_LENGTH = 200

const settings = z.strictObject({
  url: baseUrl,
  dataStream: z
    .string()
    .max(MAX_DATA_STREAM_LENGTH)
    .regex(DATA_STREAM, 'is not the name of a data stream')
    .default('logs-osquery.{type}-default')
    .openapi({ description: "`{type}` becomes the line's type" }),
})
const secrets = z
  .strictObject({
    /** As Elasticsearch encodes it (base64), or `id:key`. */
    apiKey: headerToken.optional(),
    username: z
      .string()
      .min(1)
      .max(256)
      .regex(/^[^:\p{Cc}]*$/u, 'has a colon or control characters')
      .optional(),
    password: z.string().min(1).max(1_024).optional(),
  })
  .refine(
    ({ apiKey, username, password }) =>
      apiKey === undefined
        ? username !== undefined && password !== undefined
        : (username ?? password) === undefined,
    'needs either apiKey, or username and password',
  )

export type ElasticsearchSettings = z.infer<typeof settings>
export type ElasticsearchSecrets = z.infer<typeof secrets>
type Target = SinkTarget<ElasticsearchSettings, ElasticsearchSecrets>

/** What a batch remembers between two attempts: places of lines that are still to be indexed, and what never will. */
const bulkState = z.object({
  left: z.array(z.int()),
  rejected: z.array(z.object({ eventId: z.string(), reason: z.string() })),
})

/** Of each item only what is read: a reply to thousands of lines stays small. */
const FILTER = 'errors,items.create.status,items.create.error.type,items.create.error.reason'
/** An item with an error is some 300 bytes, and a reason may quote its document. */
const REPLY_BYTES_PER_LINE = 1_024
const MAX_REPLY_BYTES = 8 * 1_024 * 1_024

export const elasticsearchKind: SinkKind<ElasticsearchSettings, ElasticsearchSecrets> = {
  name: 'elasticsearch',
  settings,
  secrets,
  // Documents are two to three times their lines; small services take 10 MiB a request, others 100 MB.
  limits: { maxBatchBytes: 3 * 1_024 * 1_024, maxBatchLines: 5_000 },
  endpoint: ({ url }) => ok({ pointer: '/settings/url', url: urlBelow(url, '_bulk') }),
  deliver: deliverBulk,
}

async function deliverBulk(batch: SinkBatch, sink: Target, send: Send): Promise<DeliveryOutcome> {
  const state = bulkState.safeParse(sink.state)
  const places = state.success ? state.data.left : [...batch.lines.keys()]
  const lines = places.map((at) => batch.lines[at]).filter((line) => line !== undefined)
  const rejected: RejectedLine[] = state.success ? [...state.data.rejected] : []
  const reply = await sendBulk(lines, sink, send)
  // What was cut off cannot be known; sent again in halves, what is there already says 409.
  if (reply.isCut) return { kind: 'split', reason: 'the reply is too long' }
  const outcome = readBulkReply(reply.status, reply.body, lines.length)
  const retryAfterMs = retryAfterMsOf(reply.headers, batch.nowMs)
  const retry = (reason: string, left: number[]): DeliveryOutcome => {
    const kept = rejected.map((line) => ({ ...line }))
    return { kind: 'retry', reason, retryAfterMs, state: { left, rejected: kept } }
  }
  if (outcome.kind === 'retry') return retry(outcome.reason, places)
  if (outcome.kind !== 'items') return outcome
  const { items } = outcome
  for (const [at, item] of items.entries()) {
    const eventId = lines[at]?.header.eventId
    if (item.kind === 'rejected' && eventId !== undefined) rejected.push({ eventId, reason: item.reason })
  }
  const left = places.filter((_, at) => items[at]?.kind === 'retry')
  if (left.length === 0) return { kind: 'delivered', rejected }
  return retry(reasonOfRetry(items), left)
}

async function sendBulk(lines: readonly ArchivedLine[], sink: Target, send: Send): Promise<SendReply> {
  const body = bulkBodyOf(lines, sink.settings.dataStream)
  const headers = {
    authorization: authorizationOf(sink.secrets),
    'content-type': 'application/x-ndjson',
    ...(sink.gzip ? { 'content-encoding': 'gzip' } : {}),
  }
  const maxReplyBytes = Math.min(MAX_REPLY_BYTES, (lines.length + 64) * REPLY_BYTES_PER_LINE)
  const url = `${urlBelow(sink.settings.url, '_bulk')}?filter_path=${FILTER}`
  return send(url, { method: 'POST', headers, body: sink.gzip ? await gzip(body) : body, maxReplyBytes })
}

/** Two lines of NDJSON for each of ours: what to do, and the document. */
function bulkBodyOf(lines: readonly ArchivedLine[], dataStream: string): Bytes {
  const parts = lines.map((line) => {
    const create = { _index: dataStream.replace('{type}', line.header.type), _id: line.header.eventId }
    return utf8(`${JSON.stringify({ create })}\n${JSON.stringify(ecsDocumentOf(line))}\n`)
  })
  return concatBytes(parts)
}

function authorizationOf({ apiKey, username, password }: ElasticsearchSecrets): string {
  if (apiKey !== undefined) return `ApiKey ${apiKey.includes(':') ? base64Of(apiKey) : apiKey}`
  return `Basic ${base64Of(`${username ?? ''}:${password ?? ''}`)}`
}

function base64Of(text: string): string {
  return btoa(String.fromCharCode(...utf8(text)))
}

function reasonOfRetry(items: readonly ItemOutcome[]): string {
  const waiting = items.filter((item) => item.kind === 'retry')
  return `${waiting.length} of ${items.length} lines: ${waiting[0]?.reason ?? ''}`
}
