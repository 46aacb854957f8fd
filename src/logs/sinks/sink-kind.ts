/**
 * What a kind of destination must be able to do. The Sink object owns everything else: the cursor, batches, back-off,
 * rate, health and quarantine. A kind knows one protocol, keeps nothing, and reaches the network by `send` alone.
 */

import type { z } from '@hono/zod-openapi'
import type { Bytes } from '../../lib/bytes.ts'
import type { Result } from '../../lib/result.ts'
import type { ArchivedLine } from '../line.ts'

export type SinkKindName = 'https' | 'splunk-hec' | 'elasticsearch' | 's3'

export const SINK_KIND_NAMES: readonly SinkKindName[] = ['https', 'splunk-hec', 'elasticsearch', 's3']

/** What JSON can say. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/** Lines that go out together. The same batch comes again after a failure or a crash, under the same id. */
export interface SinkBatch {
  /** Stable, 32 lower-case hex digits: the idempotency key. A half of a split batch has an id of its own. */
  id: string
  /** At least one; in the archive's order. */
  lines: readonly ArchivedLine[]
  /** Bytes of the agents' lines, without their headers. */
  bytes: number
  /** From 1; counts every time that this batch is handed to the kind. */
  attempt: number
  nowMs: number
}

/** A destination as its operator set it up. */
export interface SinkTarget<Settings, Secrets> {
  /** UUID. */
  id: string
  name: string
  environmentId: string
  settings: Settings
  secrets: Secrets
  /** Whether bodies go out as gzip, where the protocol has that. */
  gzip: boolean
  /** What the last attempt of this same batch left (`state` of its outcome); null at first. */
  state: Json
}

export interface SendRequest {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE'
  headers: Readonly<Record<string, string>> | Headers
  body: Bytes | null
  /** Of the reply's body; what is longer is cut off (default 64 KiB). */
  maxReplyBytes?: number
}

export interface SendReply {
  status: number
  headers: Headers
  body: Bytes
  /** Whether `body` was cut off at `maxReplyBytes`. */
  isCut: boolean
}

/**
 * The guarded fetch: refuses private addresses, follows redirects within the same origin only, and ends after the
 * sink's timeout with the reply's body read. Throws what the Sink object understands (no answer: retry; an address
 * that is not allowed: refused): kinds need not catch anything. A redirect elsewhere is given as its 3xx reply.
 */
export type Send = (url: string, request: SendRequest) => Promise<SendReply>

export interface RejectedLine {
  eventId: string
  /** Short, for operators: what the destination said of it. Never the line, never a secret. */
  reason: string
}

/**
 * What became of a batch. `reason`: short, for operators, without secrets. `state` (absent: null) is kept with the
 * batch until it is delivered, and given to its next attempt.
 */
export type DeliveryOutcome =
  /** The destination has it. What it will never take, by event id, goes to the sink's quarantine. */
  | { kind: 'delivered'; rejected: readonly RejectedLine[] }
  /** Taken but not yet confirmed: the same batch comes again after `checkAfterMs`, to ask. Not a failure. */
  | { kind: 'pending'; reason: string; checkAfterMs: number; state: Json }
  /** Not now (network, 429, 5xx): the whole batch again, after `retryAfterMs` or the sink's own back-off. */
  | { kind: 'retry'; reason: string; retryAfterMs: number | null; state?: Json }
  /**
   * Not all at once: the halves. A single line that is still refused goes to the sink's quarantine. Because of its size
   * (413; also what comes next is made smaller), or because of something in it (400).
   */
  | { kind: 'split'; reason: string; cause?: 'size' | 'content' }
  /**
   * The settings or rights are wrong (401, 403, 404, no such index): long back-off, shown in the sink's health. `cause`
   * is told by who sends, from the status: kinds need not.
   */
  | { kind: 'refused'; reason: string; cause?: 'rights' }

/** Where a sink goes. */
export interface Endpoint {
  /** JSON pointer to the member of the operator's body that says so. */
  pointer: string
  url: string
}

export interface SinkKind<Settings = unknown, Secrets = unknown> {
  name: SinkKindName
  /** Strict: unknown keys are refused. Operators see these fields under `settings`. */
  settings: z.ZodType<Settings>
  /** Strict. Operators write these fields under `secrets` and never get them back. */
  secrets: z.ZodType<Secrets>
  /** What the protocol takes at most in one batch, whatever the operator set. */
  limits: { maxBatchBytes: number; maxBatchLines: number }
  /**
   * Where it goes: checked before it is saved, and named when refused. Fails where settings and secrets together do not
   * name one place.
   */
  endpoint(settings: Settings, secrets: Secrets): Result<Endpoint, { pointer: string; detail: string }>
  /** May send several requests. */
  deliver(batch: SinkBatch, sink: SinkTarget<Settings, Secrets>, send: Send): Promise<DeliveryOutcome>
}
