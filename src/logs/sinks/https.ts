/**
 * Any HTTPS endpoint that takes JSON: Panther, Sumo Logic, Cribl, Vector, Logstash, Tines. Lines go as NDJSON or as one
 * JSON array, signed where there is a key (lib/webhook-signature.ts).
 */

import { z } from '@hono/zod-openapi'
import { concatBytes, utf8, type Bytes } from '../../lib/bytes.ts'
import { gzip } from '../../lib/compression.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import { signatureHeaders } from '../../lib/webhook-signature.ts'
import { envelopeOfLine, type ArchivedLine } from '../line.ts'
import { outcomeOfStatus } from './http-outcome.ts'
import type { DeliveryOutcome, Endpoint, SinkBatch, SinkKind, SinkTarget } from './sink-kind.ts'

const MIB = 1_024 * 1_024
const MAX_SECRET_CHARACTERS = 4_096
const MAX_HEADERS = 20
const MAX_URL_CHARACTERS = 2_048
/** Headers that are ours or the connection's. */
const TAKEN_HEADERS =
  /^(host|content-.*|transfer-encoding|connection|idempotency-key|webhook-.*|x-hub-.*|cf-.*)$/i

/** No character that could end a header (RFC 9110 section 5.5). */
const headerValue = z
  .string()
  .max(MAX_SECRET_CHARACTERS, `is longer than ${MAX_SECRET_CHARACTERS} characters`)
  .regex(/^[\x20-\x7e]+$/, 'has characters that a header cannot have')
const headers = z
  .record(
    z
      .string()
      .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}$/, 'is no name of a header')
      .refine((name) => !TAKEN_HEADERS.test(name), 'is a header that is set already'),
    headerValue,
  )
  .refine((all) => Object.keys(all).length <= MAX_HEADERS, `has more than ${MAX_HEADERS} headers`)

const url = z.string().max(MAX_URL_CHARACTERS, `is longer than ${MAX_URL_CHARACTERS} characters`)

const settings = z.strictObject({
  url: url.optional().openapi({
    description:
      'Is shown. One that has a credential in its path or query belongs into `secrets.url` instead.',
  }),
  /** `ndjson`: a line each. `json-array`: one array. */
  format: z.enum(['ndjson', 'json-array']).default('ndjson'),
  /** `envelope`: as archived. `agent`: only what the agent wrote. */
  content: z.enum(['envelope', 'agent']).default('envelope'),
})
const secrets = z.strictObject({
  url: url.optional().openapi({
    description:
      'In place of `settings.url`, where the URL itself is a credential (Sumo Logic, Tines): only its origin is shown.',
  }),
  bearerToken: headerValue.optional(),
  /** Signs every request. Of Standard Webhooks' form `whsec_<base64>`, or any text. */
  hmacKey: z.string().min(16, 'is shorter than 16 characters').max(MAX_SECRET_CHARACTERS).optional(),
  /** Sent as they are, e.g. an `x-api-key`. */
  headers: headers.optional(),
})

export type HttpsSettings = z.infer<typeof settings>
export type HttpsSecrets = z.infer<typeof secrets>

export const httpsKind: SinkKind<HttpsSettings, HttpsSecrets> = {
  name: 'https',
  settings,
  secrets,
  limits: { maxBatchBytes: 8 * MIB, maxBatchLines: 10_000 },
  endpoint: endpointOf,
  async deliver(batch, sink, send) {
    const endpoint = endpointOf(sink.settings, sink.secrets)
    if (!endpoint.ok) return { kind: 'refused', reason: 'its URL is not there, or there twice' }
    const plain = bodyOf(batch.lines, sink.settings)
    const body = sink.gzip ? await gzip(plain) : plain
    const headers = await headersOf(batch, sink, body)
    const reply = await send(endpoint.value.url, { method: 'POST', headers, body })
    return outcomeOf(reply.status, reply.headers, batch.nowMs)
  },
}

function endpointOf(
  { url: shown }: HttpsSettings,
  { url: sealed }: HttpsSecrets,
): Result<Endpoint, { pointer: string; detail: string }> {
  if (shown === undefined && sealed === undefined) {
    return fail({ pointer: '/settings/url', detail: 'is not there: the URL is here, or in secrets.url' })
  }
  if (shown !== undefined && sealed !== undefined) {
    const detail = 'is there beside settings.url: exactly one is to be; null takes one away'
    return fail({ pointer: '/secrets/url', detail })
  }
  return ok(
    sealed === undefined
      ? { pointer: '/settings/url', url: shown ?? '' }
      : { pointer: '/secrets/url', url: sealed },
  )
}

function bodyOf(lines: readonly ArchivedLine[], { format, content }: HttpsSettings): Bytes {
  const parts = lines.map((line) => (content === 'envelope' ? withoutEnd(envelopeOfLine(line)) : line.line))
  const [before, between, after] = (format === 'ndjson' ? ['', '\n', '\n'] : ['[', ',', ']\n']).map(utf8)
  if (before === undefined || between === undefined || after === undefined) throw new Error('three parts')
  return concatBytes([before, ...parts.flatMap((part, at) => (at === 0 ? [part] : [between, part])), after])
}

function withoutEnd(envelope: Bytes): Bytes {
  return envelope.subarray(0, -1)
}

async function headersOf(
  batch: SinkBatch,
  { settings: { format }, secrets: held, gzip: isGzip }: SinkTarget<HttpsSettings, HttpsSecrets>,
  body: Bytes,
): Promise<Headers> {
  const headers = new Headers(held.headers ?? {})
  headers.set('content-type', format === 'ndjson' ? 'application/x-ndjson' : 'application/json')
  headers.set('user-agent', 'osquery-edge')
  headers.set('idempotency-key', batch.id)
  if (isGzip) headers.set('content-encoding', 'gzip')
  if (held.bearerToken !== undefined) headers.set('authorization', `Bearer ${held.bearerToken}`)
  if (held.hmacKey === undefined) return headers
  const signature = await signatureHeaders(held.hmacKey, batch.id, batch.nowMs, body)
  for (const [name, value] of Object.entries(signature)) headers.set(name, value)
  return headers
}

/** A body that is refused (400, 422) has a line in it that the destination never takes: halves will tell which. */
function outcomeOf(status: number, headers: Headers, nowMs: number): DeliveryOutcome {
  if (status === 400 || status === 422)
    return { kind: 'split', reason: `answered ${status}`, cause: 'content' }
  return outcomeOfStatus(status, headers, nowMs)
}
