/**
 * The point where a log body becomes durable, so that its agent may be told `{}` (design R4). Two ways, chosen by
 * LOG_ACK_PORT: `inbox` costs an R2 put and survives everything; `queue` costs one message, for large fleets.
 */

import { gzip, looksGzipped } from '../lib/compression.ts'
import type { Bytes } from '../lib/bytes.ts'
import type { Deadline } from '../lib/deadline.ts'
import { enqueuePointer, inboxKey, metadataOf } from './inbox.ts'
import { encodeMessage, type LogOrigin } from './message.ts'

/** Queue limit: 128 KB a message with about 100 bytes of metadata (Cloudflare Queues limits). */
const MAX_MESSAGE_BYTES = 120_000
/** A queue operation is billed for each started 64 KB (Queues pricing): compress what would come near to it. */
const COMPRESS_OVER_BYTES = 48 * 1_024
/** A queue that takes longer than this is passed over for the inbox. */
const QUEUE_WITHIN_MS = 2_500

export interface AckRequest {
  env: Env
  deadline: Deadline
  userAgent: string | null
  waitUntil(work: Promise<unknown>): void
}

export interface AckPort {
  /** Resolves once the body is durable; throws when it could not be made so. */
  accept(request: AckRequest, origin: LogOrigin, body: Bytes): Promise<void>
}

/** The deployment's port. What is not `queue` is `inbox`: the one that loses nothing locally. */
export function ackPortOf(env: Env): AckPort {
  const port: string = env.LOG_ACK_PORT
  return port === 'queue' ? queuePort : inboxPort
}

const inboxPort: AckPort = {
  async accept(request, origin, body) {
    const { env, deadline, userAgent } = request
    const key = await inboxKey(origin, body)
    const customMetadata = metadataOf(origin, userAgent)
    await deadline.run(env.ARCHIVE.put(key, body, { customMetadata }))
    request.waitUntil(enqueuePointer(env, key, origin))
  },
}

const queuePort: AckPort = {
  async accept(request, origin, body) {
    const compress = body.length > COMPRESS_OVER_BYTES && !looksGzipped(body)
    const message = encodeMessage({ kind: 'body', origin, body: compress ? await gzip(body) : body })
    if (message.length > MAX_MESSAGE_BYTES) return inboxPort.accept(request, origin, body)
    try {
      const sent = request.env.LOGS.send(message, { contentType: 'bytes' })
      await request.deadline.run(sent, QUEUE_WITHIN_MS)
    } catch (error) {
      // A hung send may still succeed: then the lines come twice, and event ids make them one again.
      console.warn(JSON.stringify({ event: 'log-queue-failed', error: String(error) }))
      await inboxPort.accept(request, origin, body)
    }
  },
}
