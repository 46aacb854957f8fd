/**
 * The AnswerShard object: every query's answers of one share of an environment's nodes, named
 * `<environment>/<shards>/<index>`. One call for each read, one for each write, one commit for each POST, whatever
 * the number of queries (design 3). It must not know of agents' wire or of HTTP.
 */

import { DurableObject } from 'cloudflare:workers'
import type { Standing } from '../fleet/straggler.ts'
import type { Bytes } from '../lib/bytes.ts'
import { runDuties } from '../lib/duties.ts'
import { applySchema } from '../lib/object-schema.ts'
import type { AnswerCounts, AnswerPosition, AnswerRecord, NewAnswer, WriteTally } from './answer.ts'
import { ArrivalStore, type ArrivalWithRows } from './arrival-store.ts'
import { AnswerLog, type AnswersToLog } from './answer-log.ts'
import { CarveLinkStore } from './carve-link-store.ts'
import { linkCarves, noteCarves } from './carve-linker.ts'
import * as limits from './constants.ts'
import { CountStore } from './count-store.ts'
import { cutRows } from './cut-rows.ts'
import { learnQueries } from './learn-queries.ts'
import { feedStub, shardPlaceOf, type ShardPlace } from './shard-name.ts'
import { offerTo, settledAmong, type OfferedQuery } from './shard-offers.ts'
import { RemainingReports } from './remaining-reports.ts'
import { ResultMover } from './result-mover.ts'
import { SegmentStore } from './segment-store.ts'
import { SHARD_SCHEMA, ShardStore, type ShardQuery } from './shard-store.ts'
import { settledOrdinals, standingsOf, type SettledKind } from './standing-store.ts'
import { ShardWatches, type ShardReport } from './shard-watches.ts'
import { StoredRows, type RecordsWithRows } from './stored-rows.ts'

/** How soon what D1 or the environment did not take is tried again. */
const TRY_AGAIN_AFTER_MS = 5_000

export class AnswerShard extends DurableObject<Env> {
  readonly #store: ShardStore
  readonly #arrivals: ArrivalStore
  readonly #log: AnswerLog
  readonly #watches: ShardWatches
  readonly #segments: SegmentStore
  readonly #counts: CountStore
  readonly #carveLinks: CarveLinkStore
  readonly #rows: StoredRows
  readonly #mover: ResultMover
  readonly #reports: RemainingReports

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    applySchema(ctx.storage, SHARD_SCHEMA)
    this.#store = new ShardStore(ctx.storage.sql)
    this.#arrivals = new ArrivalStore(ctx.storage.sql)
    this.#log = new AnswerLog(ctx.storage.sql)
    this.#watches = new ShardWatches(this.#arrivals, (number, report) => this.#tellFeed(number, report))
    this.#segments = new SegmentStore(ctx.storage)
    this.#counts = new CountStore(ctx.storage)
    this.#carveLinks = new CarveLinkStore(ctx.storage.sql)
    const stores = {
      answers: this.#store,
      arrivals: this.#arrivals,
      log: this.#log,
      segments: this.#segments,
    }
    this.#rows = new StoredRows(stores, env.ARCHIVE)
    this.#reports = new RemainingReports(this.#store, this.#arrivals, (reports) =>
      this.#environment().reportRemaining(this.#place.shard, reports),
    )
    this.#mover = new ResultMover(stores, env.ARCHIVE, () => this.#place)
  }

  /**
   * What a node is to run now, of the queries that the edge believes it is a target of. The shard decides: answered
   * ones are left out, unanswered ones are offered again after a while, and what is more than `maxBytes` the next time.
   * Throws when a query is new here and the environment's object does not answer.
   */
  async read(ordinal: number, open: readonly number[], maxBytes?: number): Promise<OfferedQuery[]> {
    await this.#learn(open)
    const stores = { queries: this.#store, arrivals: this.#arrivals }
    const offered = offerTo(ordinal, open, stores, Date.now(), maxBytes)
    for (const { number } of offered) this.#watches.changed(number)
    const answered = settledAmong(ordinal, open, stores)
    if (answered.length > 0) await this.#reportLater(answered)
    return offered
  }

  /** The edge is told in a while: it sends nodes here that are not waited for. */
  async #reportLater(numbers: readonly number[]): Promise<void> {
    for (const number of numbers) this.#store.markChanged(number)
    await this.#wakeWithin(limits.REPORT_EVERY_MS)
  }

  /**
   * Keeps a node's answers, the first for each query. Returns after they are durable. An unknown number is one that
   * was erased, or closed before this shard ever heard of it. Throws when that cannot be told.
   */
  async write(node: { ordinal: number; nodeId: string }, answers: readonly NewAnswer[]): Promise<WriteTally> {
    await this.#learn(answers.map(({ number }) => number))
    const cut = await Promise.all(answers.map((answer) => this.#cut(answer)))
    // From here on nothing waits: what is found settled stays so until it is kept.
    const nowMs = Date.now()
    const tally: WriteTally = { stored: 0, duplicate: 0, unknown: 0 }
    let dueInMs = limits.REPORT_EVERY_MS
    for (const answer of cut) {
      const query = this.#store.query(answer.number)
      if (query === null) tally.unknown += 1
      else if (this.#isSettled(answer, node.ordinal)) tally.duplicate += 1
      else {
        dueInMs = Math.min(dueInMs, this.#keep(query, answer, node, nowMs))
        tally.stored += 1
      }
    }
    if (tally.stored > 0) await this.#wakeWithin(dueInMs)
    return tally
  }

  async #cut(answer: NewAnswer): Promise<NewAnswer> {
    const maxRows = this.#store.query(answer.number)?.maxRowsPerNode ?? null
    return maxRows === null ? answer : cutRows(answer, maxRows)
  }

  /**
   * Nodes of this shard that enrolled since are asked too; up to that ordinal there are no others. False where the query is
   * not known here yet.
   */
  async addTargets(number: number, added: Bytes, upTo: number | null = null): Promise<boolean> {
    const isKnown = this.#store.addTargets(number, added, upTo)
    // Some may have answered already.
    if (isKnown) await this.#reportLater([number])
    return isKnown
  }

  /** A node that once said "does not apply" may still answer; after an answer nothing counts any more. */
  #isSettled({ number, notApplicable }: NewAnswer, ordinal: number): boolean {
    if (this.#store.hasAnswer(number, ordinal)) return true
    return notApplicable === true && this.#arrivals.isNotApplicable(number, ordinal)
  }

  /** Stores one answer; returns how soon somebody has to be told. */
  #keep(
    query: ShardQuery,
    answer: NewAnswer,
    node: { ordinal: number; nodeId: string },
    nowMs: number,
  ): number {
    const { number } = query
    if (answer.notApplicable === true) this.#arrivals.putNotApplicable(number, node.ordinal, nowMs)
    else {
      this.#store.putAnswer(answer, node, nowMs)
      this.#arrivals.dropNotApplicable(number, node.ordinal)
      if (query.kind === 'carve') noteCarves(this.#carveLinks, answer, node)
    }
    this.#store.markChanged(number)
    if (query.closed) this.#segments.moveLater(number, nowMs + limits.MOVE_LATE_AFTER_MS)
    this.#watches.changed(number)
    const logged = query.kind === 'query' && query.logResults !== 0 && answer.notApplicable !== true
    const logDueInMs = logged && this.#log.note(number) ? limits.LOG_ANSWERS_WITHIN_MS : Infinity
    return Math.min(this.#reports.dueInMs(query, nowMs), logDueInMs)
  }

  /** For each of these queries: what became of this shard's nodes. */
  counts(numbers: readonly number[]): AnswerCounts[] {
    return numbers.map((number) => this.#arrivals.counts(number))
  }

  /** Answers without their rows, newest first, after a place in that order. */
  records(number: number, after: AnswerPosition | null, limit: number): AnswerRecord[] {
    return this.#store.records(number, after, limit)
  }

  /**
   * Answers with their compressed rows, newest first, from a place on, until `maxRows` rows or `maxBytes` bytes are
   * together. `complete` says that there are no more. Throws when they lie in R2 and it does not answer.
   */
  recordsWithRows(
    number: number,
    from: AnswerPosition | null,
    maxRows: number,
    maxBytes: number,
  ): Promise<RecordsWithRows> {
    return this.#rows.records(number, from, maxRows, maxBytes)
  }

  /** Reports to the query's Feed whatever changes until then; returns what there is now. */
  watch(number: number, untilMs: number): Promise<ShardReport> {
    return this.#watches.watch(number, untilMs)
  }

  /** Answers with their rows in the order of their arrival, after a place in it, until `maxBytes` are together. */
  arrivals(number: number, after: number, limit: number, maxBytes: number): Promise<ArrivalWithRows[]> {
    return this.#rows.arrivals(number, after, limit, maxBytes)
  }

  /** The next answers of a query that are to become log lines, with their rows; null: there are none. */
  answersToLog(number: number): Promise<AnswersToLog | null> {
    const queryId = this.#store.query(number)?.id ?? null
    return this.#log.next(number, queryId, (after, most, mostBytes) =>
      this.arrivals(number, after, most, mostBytes),
    )
  }

  /** The answers up to this arrival are log lines in the archive. */
  async confirmLogged(number: number, upTo: number): Promise<void> {
    const dueInMs = this.#log.confirm(number, upTo, this.#arrivals.lastArrival(number))
    if (dueInMs !== null) await this.#wakeWithin(dueInMs)
  }

  /** How far an operator's count of this query's rows came, under its key; null: it is not begun. */
  rowCount(number: number, key: string): Bytes | null {
    return this.#counts.get(number, key)
  }

  /** Keeps how far it came. */
  keepRowCount(number: number, key: string, bytes: Bytes): void {
    this.#counts.put(number, key, bytes, Date.now())
  }

  /** The nodes of this shard in a range of ordinals that are settled in this way, as a NodeSet's bytes. */
  settled(number: number, kind: SettledKind, range: { first: number; last: number }): Bytes {
    return settledOrdinals(this.ctx.storage.sql, number, kind, range).toBytes()
  }

  /** How these nodes of this shard stand with a query. */
  standings(number: number, ordinals: readonly number[]): Standing[] {
    return standingsOf(this.ctx.storage.sql, number, ordinals)
  }

  /** These queries are closed: their rows move to R2 by and by. Idempotent. */
  async close(numbers: readonly number[]): Promise<void> {
    this.#segments.close(numbers, Date.now())
    const dueMs = this.#segments.nextDueMs()
    if (dueMs !== null) await this.#wakeWithin(Math.max(dueMs - Date.now(), limits.REPORT_LAST_AFTER_MS))
  }

  /** Whether answers of a query wait to become log lines: their rows must stay until then. */
  isLogging(number: number): boolean {
    return this.#log.isPending(number)
  }

  /** Forgets a query and its answers for good; what of it lies in R2 goes now, or by the alarm. Idempotent. */
  async erase(number: number): Promise<void> {
    const nowMs = Date.now()
    this.ctx.storage.transactionSync(() => {
      this.#segments.doom(number, nowMs, nowMs + limits.PUTS_END_WITHIN_MS)
      this.#store.erase(number)
      this.#log.erase(number)
      this.#counts.erase(number)
    })
    this.#watches.drop(number)
    await this.#wakeWithin(limits.REPORT_LAST_AFTER_MS)
    await this.#mover.finishErasing()
    await this.#mover.deleteDoomed(nowMs).catch((error: unknown) => {
      console.warn(JSON.stringify({ event: 'segments-deleted-later', error: String(error) }))
    })
  }

  override async alarm(): Promise<void> {
    const isDone = await runDuties('answer-shard-alarm', [
      () => this.#linkCarves(),
      () => this.#reports.report(),
      () => this.#log.tell(this.env.LOGS, this.#place),
      () => this.#mover.run(),
    ])
    const nowMs = Date.now()
    if (!isDone) return this.ctx.storage.setAlarm(nowMs + TRY_AGAIN_AFTER_MS)
    if (this.#store.changedNumbers().length > 0)
      await this.ctx.storage.setAlarm(nowMs + limits.REPORT_EVERY_MS)
    for (const dueMs of [this.#log.nextDueMs(), this.#segments.nextDueMs()])
      if (dueMs !== null) await this.#wakeWithin(Math.max(dueMs - nowMs, limits.REPORT_LAST_AFTER_MS))
  }

  get #place(): ShardPlace {
    return shardPlaceOf(this.ctx.id.name)
  }

  #tellFeed(number: number, report: ShardReport): Promise<boolean> {
    const { environmentId, shard } = this.#place
    return feedStub(this.env, environmentId, number).report(shard, report)
  }

  #environment() {
    return this.env.ENVIRONMENT.getByName(this.#place.environmentId)
  }

  /** Asks the environment for definitions of queries that are new here. */
  #learn(numbers: readonly number[]): Promise<void> {
    const ask = (unknown: number[]) => this.#environment().definitions(unknown)
    return learnQueries(this.#store, numbers, () => this.#place, ask)
  }

  async #linkCarves(): Promise<void> {
    const links = { links: this.#carveLinks, queries: this.#store }
    if (await linkCarves(this.env.DB, links, this.#place.environmentId)) await this.#wakeWithin(0)
  }

  async #wakeWithin(ms: number): Promise<void> {
    const due = Date.now() + ms
    const armed = await this.ctx.storage.getAlarm()
    if (armed === null || armed > due || armed < Date.now() - TRY_AGAIN_AFTER_MS)
      await this.ctx.storage.setAlarm(due)
  }
}
