/** The node key and the calls made with it: headers, judgement, tries and waits (specification 1.1, 1.5, 1.6). */
import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'
import type { Result } from '../lib/result.ts'
import { fail, ok } from '../lib/result.ts'
import type { AgentEvent, CallFailureCause, RequestReport } from './agent-options.ts'
import type { Counters } from './counters.ts'
import type { Dialect } from './dialect.ts'
import type { EndpointName, Endpoints } from './endpoints.ts'
import type { JsonObject } from './json.ts'
import { judgeCarveBlock, judgeCarveStart, judgeEnroll, judgeEnvelope } from './judge.ts'
import type { Flags } from './settings.ts'
import { booleanFlag, numberFlag } from './settings.ts'
import type { Reply, Sender } from './transport.ts'

export interface SessionOptions {
  readonly url: string
  readonly endpoints: Endpoints
  readonly version: string
  readonly authorizationHeader: boolean
  readonly dialect: Dialect
  readonly nodeKey: string
  readonly transport: Sender
  readonly counters: Counters
  readonly flags: () => Flags
  /** Body of an enroll request, made anew for each try. */
  readonly enrollBody: () => string
  readonly sleep: (waitMs: number, signal?: AbortSignal) => Promise<void>
  readonly onEvent: (event: AgentEvent) => void
  readonly onRequest: (request: RequestReport) => void
}

/** How to make a call of the common envelope. `attemptsFlag` names the flag with the number of tries; default 1. */
export interface CallOptions {
  readonly attemptsFlag?: string
  readonly gzip?: boolean
  /** Told when a failure passed for a success: the agent now forgets what it sent. */
  readonly onFalseSuccess?: () => void
}

const GZIP_LEVEL = 9

const compress = promisify<Uint8Array, { level: number }, Buffer>(gzip)
const inflate = promisify<Uint8Array, Buffer>(gunzip)

type Judged<T> =
  | { readonly kind: 'ok'; readonly value: T }
  | { readonly kind: 'retry' | 'final'; readonly reason: string; readonly cause: CallFailureCause }

/** A reply; the status is for statistics only. */
interface Exchanged {
  readonly status: number
  readonly body: Uint8Array
}

/** Holds the node key and makes the calls. */
export class Session {
  nodeKey: string
  /** When it aborts, waits reject and requests break off. */
  stop: AbortSignal | undefined
  readonly #options: SessionOptions
  #enrolling: Promise<Result<string, string>> | undefined

  constructor(options: SessionOptions) {
    this.#options = options
    this.nodeKey = options.nodeKey
  }

  /** Enrolls, whether a key is held or not; `tls_enroll_max_attempts` tries, 0 for no end. Callers at the same time share one round since 4.8.0. */
  enroll(): Promise<Result<string, string>> {
    if (!this.#options.dialect.enrollsOnce) return this.#enroll()
    this.#enrolling ??= this.#enroll().finally(() => {
      this.#enrolling = undefined
    })
    return this.#enrolling
  }

  /**
   * A call of config, log, read or write. Without a key it enrolls first, and goes on with an empty one if that fails.
   * `node_invalid` drops the key, so that the next try, if any is left, enrolls anew.
   */
  async call(
    endpoint: EndpointName,
    makeBody: (nodeKey: string) => string,
    options: CallOptions,
  ): Promise<Result<JsonObject, string>> {
    const attempt = async (): Promise<Judged<JsonObject>> => {
      if (this.nodeKey === '') await this.enroll()
      const key = this.nodeKey
      const reply = await this.#exchange(endpoint, makeBody(key), options.gzip ?? false)
      if (!reply.ok) return unanswered(reply.reason)
      const verdict = judgeEnvelope(reply.value.body, this.#options.dialect.readsTexts)
      if (verdict.kind === 'ok') return this.#taken(reply.value, verdict.reply, options.onFalseSuccess)
      if (verdict.kind !== 'node-invalid') return this.#unusable(verdict)
      this.#options.counters.nodeInvalid += 1
      // Another call may have enrolled meanwhile: its new key is not the one that was refused.
      const keepsKey = booleanFlag(this.#options.flags(), 'disable_reenrollment')
      if (this.nodeKey === key && !keepsKey) this.nodeKey = ''
      return { kind: 'retry', reason: 'node_invalid', cause: 'node-invalid' }
    }
    const { attemptsFlag } = options
    const attempts = attemptsFlag === undefined ? 1 : numberFlag(this.#options.flags(), attemptsFlag)
    return this.#tries(endpoint, attempts, attempt)
  }

  /** Announces a carve; gives the session id. */
  async carveStart(makeBody: (nodeKey: string) => string): Promise<Result<string, string>> {
    return this.#tries(
      'carveStart',
      this.#options.dialect.carveAttempts,
      async (): Promise<Judged<string>> => {
        const reply = await this.#exchange('carveStart', makeBody(this.nodeKey), false)
        if (!reply.ok) return unanswered(reply.reason)
        const verdict = judgeCarveStart(reply.value.body)
        if (verdict.kind === 'ok') return { kind: 'ok', value: verdict.sessionId }
        if (verdict.kind === 'aborted') return { kind: 'final', reason: verdict.reason, cause: 'refused' }
        return this.#unusable(verdict)
      },
    )
  }

  /** Sends one block of a carve. */
  async carveBlock(body: string): Promise<Result<void, string>> {
    return this.#tries('carveBlock', this.#options.dialect.carveAttempts, async (): Promise<Judged<void>> => {
      const reply = await this.#exchange('carveBlock', body, false)
      if (!reply.ok) return unanswered(reply.reason)
      const verdict = judgeCarveBlock(reply.value.body)
      return verdict.kind === 'ok' ? this.#taken(reply.value, undefined) : this.#unusable(verdict)
    })
  }

  async #enroll(): Promise<Result<string, string>> {
    this.nodeKey = ''
    const { dialect, flags } = this.#options
    const set = numberFlag(flags(), dialect.enrollAttemptsFlag)
    const attempts = set === 0 && dialect.hasEndlessEnroll ? Infinity : set
    const outcome = await this.#tries('enroll', attempts, async (): Promise<Judged<string>> => {
      const reply = await this.#exchange('enroll', this.#options.enrollBody(), false)
      if (!reply.ok) return unanswered(reply.reason)
      const verdict = judgeEnroll(reply.value.body)
      return verdict.kind === 'ok' ? { kind: 'ok', value: verdict.nodeKey } : this.#unusable(verdict)
    })
    if (!outcome.ok) return outcome
    this.nodeKey = outcome.value
    this.#options.onEvent({ kind: 'enrolled' })
    return outcome
  }

  // A failure that its body makes a success: the agent forgets what the server did not take.
  #taken<T>({ status }: Exchanged, value: T, onFalseSuccess?: () => void): Judged<T> {
    if (status >= 400) {
      this.#options.counters.falseSuccesses += 1
      onFalseSuccess?.()
    }
    return { kind: 'ok', value }
  }

  #unusable(verdict: { readonly kind: 'failed' | 'crash'; readonly reason: string }): Judged<never> {
    if (verdict.kind === 'failed') return { kind: 'retry', reason: verdict.reason, cause: 'refused' }
    // A crashed osqueryd tries nothing again.
    this.#options.counters.crashes += 1
    return { kind: 'final', reason: `crash: ${verdict.reason}`, cause: 'crash' }
  }

  async #tries<T>(
    endpoint: EndpointName,
    attempts: number,
    attempt: () => Promise<Judged<T>>,
  ): Promise<Result<T, string>> {
    const counts = this.#options.counters.calls[endpoint]
    let reason = 'not tried'
    for (let n = 1; n <= attempts; n += 1) {
      const judged = await attempt()
      if (judged.kind === 'ok') {
        counts.ok += 1
        return ok(judged.value)
      }
      // The agent was stopped in the middle: nobody failed.
      if (this.stop?.aborted) return fail('stopped')
      counts.failed += 1
      reason = judged.reason
      this.#options.onEvent({ kind: 'call-failed', endpoint, reason, cause: judged.cause })
      if (judged.kind === 'final') break
      if (n < attempts) await this.#options.sleep(this.#waitMs(endpoint, n), this.stop)
    }
    return fail(reason)
  }

  #waitMs(endpoint: EndpointName, failures: number): number {
    const { dialect, flags } = this.#options
    const isCapped = endpoint === 'enroll' && dialect.hasEndlessEnroll
    const maxSeconds = isCapped ? numberFlag(flags(), 'tls_enroll_max_interval') : Infinity
    return Math.min(failures * failures, maxSeconds) * 1000
  }

  async #exchange(endpoint: EndpointName, body: string, isGzip: boolean): Promise<Result<Exchanged, string>> {
    const { counters, endpoints, onRequest, transport, url } = this.#options
    const bytes = isGzip ? await compress(Buffer.from(body), { level: GZIP_LEVEL }) : Buffer.from(body)
    counters.calls[endpoint].sent += 1
    counters.sentBytes += bytes.byteLength
    const startMs = performance.now()
    const reply = await transport.post(
      url + endpoints[endpoint],
      this.#headers(endpoint, isGzip),
      bytes,
      this.stop,
    )
    const status = reply.kind === 'reply' ? reply.status : 0
    const receivedBytes = reply.kind === 'reply' ? reply.body.byteLength : 0
    counters.receivedBytes += receivedBytes
    onRequest({
      endpoint,
      status,
      durationMs: performance.now() - startMs,
      sentBytes: bytes.byteLength,
      receivedBytes,
    })
    if (reply.kind === 'no-reply') {
      if (reply.timedOut) counters.timeouts += 1
      else counters.brokenConnections += 1
      return fail(reply.reason)
    }
    counters.statuses[status] = (counters.statuses[status] ?? 0) + 1
    return this.#inflated(status, reply)
  }

  // Unasked for, a compressed body stays as it is, and is no JSON.
  async #inflated(status: number, { body, encoding }: Reply): Promise<Result<Exchanged, string>> {
    if (!this.#takesGzip || encoding !== 'gzip') return ok({ status, body })
    try {
      return ok({ status, body: await inflate(body) })
    } catch {
      return fail('the reply is no gzip')
    }
  }

  get #takesGzip(): boolean {
    const { dialect, flags } = this.#options
    return dialect.hasGzipReplies && booleanFlag(flags(), 'tls_accept_gzip')
  }

  #headers(endpoint: EndpointName, isGzip: boolean): Record<string, string> {
    const { authorizationHeader, version } = this.#options
    const hasKey = authorizationHeader && endpoint !== 'enroll' && this.nodeKey !== ''
    return {
      'Content-Type': 'application/json',
      Accept: 'application/json',
      'User-Agent': `osquery/${version}`,
      ...(hasKey && { Authorization: `NodeKey ${this.nodeKey}` }),
      ...(isGzip && { 'Content-Encoding': 'gzip' }),
      ...(this.#takesGzip && { 'Accept-Encoding': 'gzip' }),
    }
  }
}

function unanswered(reason: string): Judged<never> {
  return { kind: 'retry', reason, cause: 'no-reply' }
}
