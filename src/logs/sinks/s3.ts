/** S3-compatible buckets: our envelopes as gzipped NDJSON, in the layout of the archive, under keys that repeat. */

import { z } from '@hono/zod-openapi'
import { ok } from '../../lib/result.ts'
import { retryAfterMsOf } from './retry-after.ts'
import { s3ObjectsOf } from './s3-object.ts'
import { readS3Reply, s3UrlOf, signedPut } from './s3-request.ts'
import { baseUrl, headerToken } from './settings.ts'
import type { DeliveryOutcome, Send, SinkBatch, SinkKind, SinkTarget } from './sink-kind.ts'

const settings = z.strictObject({
  endpoint: baseUrl.openapi({
    description: 'Without the bucket, like https://s3.eu-central-1.amazonaws.com',
  }),
  /** Amazon S3: Bucket naming rules. */
  bucket: z
    .string()
    .regex(
      /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/,
      'is not the name of a bucket (3 to 63 of a-z, 0-9, . and -)',
    ),
  region: z
    .string()
    .regex(/^[a-z0-9-]{1,64}$/, 'is not the name of a region')
    .openapi({ description: 'Like eu-central-1; `auto` for R2' }),
  prefix: z
    .string()
    .max(512)
    .regex(/^([A-Za-z0-9!_.*'()=-]+\/)*$/, 'is not a path that ends with / (or nothing)')
    .refine((prefix) => !/(^|\/)\.{1,2}\//.test(prefix), 'has . or .. as a part')
    .default('logs/'),
  addressing: z
    .enum(['path', 'virtual-host'])
    .default('path')
    .openapi({ description: '`virtual-host`: the bucket is the first label of the host' }),
  storageClass: z
    .string()
    .regex(/^[A-Z][A-Z0-9_]{0,63}$/, 'is not a storage class, like STANDARD_IA')
    .nullable()
    .default(null),
})
const secrets = z.strictObject({ accessKeyId: headerToken.max(256), secretAccessKey: headerToken })

export type S3Settings = z.infer<typeof settings>
export type S3Secrets = z.infer<typeof secrets>

/** What a batch remembers between two attempts: keys of objects that are there. */
const putState = z.object({ put: z.array(z.string()) })

/** A batch is a few objects by type and hour; larger ones would be held in memory twice. */
const MAX_BATCH_BYTES = 16 * 1_024 * 1_024

export const s3Kind: SinkKind<S3Settings, S3Secrets> = {
  name: 's3',
  settings,
  secrets,
  limits: { maxBatchBytes: MAX_BATCH_BYTES, maxBatchLines: 50_000 },
  endpoint: (place) => ok({ pointer: '/settings/endpoint', url: s3UrlOf(place, '').href }),
  deliver: putBatch,
}

async function putBatch(
  batch: SinkBatch,
  sink: SinkTarget<S3Settings, S3Secrets>,
  send: Send,
): Promise<DeliveryOutcome> {
  const state = putState.safeParse(sink.state)
  const put = state.success ? [...state.data.put] : []
  for (const object of await s3ObjectsOf(sink.settings.prefix, batch.lines)) {
    if (put.includes(object.key)) continue
    const { url, headers } = await signedPut(sink.settings, sink.secrets, object)
    const reply = await send(url.href, { method: 'PUT', headers, body: object.body })
    const outcome = readS3Reply(reply.status, reply.body)
    if (outcome.kind === 'retry') {
      const retryAfterMs = retryAfterMsOf(reply.headers, batch.nowMs)
      return { kind: 'retry', reason: outcome.reason, retryAfterMs, state: { put } }
    }
    if (outcome.kind !== 'delivered') return outcome
    put.push(object.key)
  }
  return { kind: 'delivered', rejected: [] }
}
