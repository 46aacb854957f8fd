/** The distributed loop of one agent: read, run in order of id, write until accepted (specification 5.1). */
import type { Result } from '../lib/result.ts'
import { fail, ok } from '../lib/result.ts'
import type { AgentEvent } from './agent-options.ts'
import type { Counters } from './counters.ts'
import type { Dialect } from './dialect.ts'
import type { QueryAnswer } from './distributed.ts'
import { acceptWork, answerQuery, writePayload } from './distributed.ts'
import type { JsonObject } from './json.ts'
import type { Session } from './session.ts'
import type { Flags } from './settings.ts'
import { numberFlag } from './settings.ts'
import type { ResultRow } from './sql-types.ts'

const ATTEMPTS_FLAG = 'distributed_tls_max_attempts'

export interface DistributedRunnerOptions {
  readonly session: Session
  readonly counters: Counters
  readonly flags: () => Flags
  readonly runSql: (sql: string) => Result<readonly ResultRow[], string>
  readonly now: () => number
  readonly queue: Readonly<Record<string, string>>
  readonly accelerateUntilMs: number
  /** SQL that was running when an earlier life ended, and when it was started. */
  readonly denylisted: Readonly<Record<string, number>>
  readonly dialect: Dialect
  readonly onEvent: (event: AgentEvent) => void
  /** Told of the answers of a write, before it is sent and when it was accepted. */
  readonly onAnswers: (stage: 'sent' | 'accepted', answers: ReadonlyMap<string, QueryAnswer>) => void
  /** Told of SQL that failed. */
  readonly onError: (message: string) => void
}

const DENYLISTED: QueryAnswer = {
  rows: [],
  status: 1,
  message: 'distributed query is denylisted',
  stats: {},
}

/** What one poll did. */
export interface PollOutcome {
  /** The reply of the read, or why there is none. */
  readonly read: Result<JsonObject, string>
  /** Ids answered in this cycle. */
  readonly answered: readonly string[]
  /** Outcome of the write; absent if there was nothing to write. */
  readonly write?: Result<JsonObject, string>
}

/** Accepted queries and answers that wait for the server's word. */
export class DistributedRunner {
  readonly #options: DistributedRunnerOptions
  readonly #queue: Map<string, string>
  readonly #answers = new Map<string, QueryAnswer>()
  readonly #denylist: Map<string, number>
  accelerateUntilMs: number
  /** Of the query that ran last, "" if none did. */
  lastId = ''

  constructor(options: DistributedRunnerOptions) {
    this.#options = options
    this.#queue = new Map(Object.entries(options.queue))
    this.#denylist = new Map(Object.entries(options.denylisted))
    this.accelerateUntilMs = options.accelerateUntilMs
  }

  /** Queries accepted but not started: they survive a restart. */
  get queue(): Record<string, string> {
    return Object.fromEntries(this.#queue)
  }

  /** SQL that is running, or was when an earlier life ended, and since when. */
  get denylisted(): Record<string, number> {
    return Object.fromEntries(this.#denylist)
  }

  /** Ids whose answers the server has not accepted yet; they are sent again with every poll. */
  get unacknowledged(): readonly string[] {
    return [...this.#answers.keys()]
  }

  /** Read, run, write. What is left over from before is run and written even if the read fails. */
  async poll(): Promise<PollOutcome> {
    const read = await this.#read()
    const answered = this.#runQueue()
    if (this.#answers.size === 0) return { read, answered }
    return { read, answered, write: await this.#write() }
  }

  /** Sends any write as it is, and keeps nothing: for probing a server. */
  send(payload: JsonObject): Promise<Result<JsonObject, string>> {
    return this.#send(payload, () => undefined)
  }

  #send(payload: JsonObject, onFalseSuccess: () => void): Promise<Result<JsonObject, string>> {
    const body = (key: string) => this.#options.dialect.stringify({ ...payload, node_key: key })
    return this.#options.session.call('write', body, { attemptsFlag: ATTEMPTS_FLAG, onFalseSuccess })
  }

  async #read(): Promise<Result<JsonObject, string>> {
    const { counters, dialect, now, onEvent, runSql, session } = this.#options
    const reply = await session.call('read', (key) => JSON.stringify({ node_key: key }), {
      attemptsFlag: ATTEMPTS_FLAG,
    })
    if (!reply.ok) return fail(reply.reason)
    const work = acceptWork(reply.value, runSql, dialect)
    for (const [id, sql] of work.queries) this.#queue.set(id, sql)
    counters.queries.accepted += work.queries.size
    counters.queries.skipped += work.skipped.length
    if (work.problem !== undefined) {
      counters.brokenReads += 1
      onEvent({ kind: 'read-problem', reason: work.problem })
    }
    if (work.accelerateSeconds !== undefined) this.accelerateUntilMs = now() + work.accelerateSeconds * 1000
    return ok(reply.value)
  }

  #runQueue(): string[] {
    const { counters, onError, onEvent } = this.#options
    const ids = [...this.#queue.keys()].toSorted((a, b) => Buffer.from(a).compare(Buffer.from(b)))
    for (const id of ids) {
      const sql = this.#queue.get(id) ?? ''
      // Off the queue before it runs: osqueryd never reports a query that killed it.
      this.#queue.delete(id)
      this.lastId = id
      const answer = this.#answer(id, sql)
      this.#answers.set(id, answer)
      counters.queries.answered += 1
      if (answer.status !== 0) onError(`Error executing distributed query: ${id}: ${answer.message}`)
      onEvent({ kind: 'query-answered', id, sql, rows: answer.rows.length, message: answer.message })
    }
    return ids
  }

  #answer(id: string, sql: string): QueryAnswer {
    const { dialect, flags, now, onEvent, runSql } = this.#options
    const denylistMs = numberFlag(flags(), 'distributed_denylist_duration') * 1_000
    if (dialect.hasDenylist && (this.#denylist.get(sql) ?? -Infinity) + denylistMs > now()) return DENYLISTED
    // The mark is gone only when the query has ended: who dies in between finds it at the next start.
    this.#denylist.set(sql, now())
    onEvent({ kind: 'query-started', id, sql })
    const answer = answerQuery(sql, runSql)
    this.#denylist.delete(sql)
    return answer
  }

  async #write(): Promise<Result<JsonObject, string>> {
    const sent = new Map(this.#answers)
    this.#options.onAnswers('sent', sent)
    const { counters, dialect } = this.#options
    const outcome = await this.#send(writePayload(sent, dialect), () => {
      counters.queries.lost += sent.size
    })
    if (!outcome.ok) return outcome
    this.#options.onAnswers('accepted', sent)
    this.#answers.clear()
    counters.queries.acknowledged += sent.size
    this.#options.onEvent({ kind: 'answers-accepted', answers: sent.size })
    return outcome
  }
}
