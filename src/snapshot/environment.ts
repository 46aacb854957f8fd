/**
 * The Environment object: one for each environment, named by its UUID. The one consistent owner of the compiled
 * head and parts; D1 stays the truth of what operators define. It must not know of agents' wire or of HTTP.
 */

import { DurableObject } from 'cloudflare:workers'
import { closeQueries } from '../db/query-life.ts'
import { readEnvironmentRows } from '../db/snapshot-rows.ts'
import { ACCELERATED_FOR_MS } from '../fleet/acceleration.ts'
import { activeOf, nextEndOf, stretchOf, type BrownoutState } from '../fleet/brownout.ts'
import { NodeSet } from '../fleet/node-set.ts'
import type { Bytes } from '../lib/bytes.ts'
import { Deadline } from '../lib/deadline.ts'
import { runDuties } from '../lib/duties.ts'
import { applySchema } from '../lib/object-schema.ts'
import { Turns } from '../lib/turns.ts'
import { acceleratedPart } from './accelerated.ts'
import { copySnapshot, deleteCopies } from './archive-copy.ts'
import { compileEnvironment, type CompiledEnvironment, type QueryDefinition } from './compile.ts'
import { ENVIRONMENT_SCHEMA, EnvironmentStore } from './environment-store.ts'
import { partsOf, type EnvironmentHead } from './head.ts'
import { headIntervals } from './head-intervals.ts'
import { HeadQueries } from './head-queries.ts'
import { DIRECTORY_NAME } from './keys.ts'
import { headOf, saysAlready, type LastingHead } from './moving-head.ts'
import { eraseExpired, eraseForgotten, handOverClosed } from './query-results.ts'
import { HeldBack, isOutdated, type HeldBackSnapshot } from './held-back.ts'
import { mayPublish, type SnapshotFacts } from './safety.ts'

/** How often a published environment looks into D1 for what a lost message missed. */
const RECONCILE_EVERY_MS = 5 * 60_000
/** How soon a failed copy or closing is tried again. */
const TRY_AGAIN_AFTER_MS = 5_000
/** What an alarm does of each kind; handing over many queries takes the longest. */
const DUTY_WITHIN_MS = 60_000
/** How long one copy of head and parts to R2 may take. */
const COPY_WITHIN_MS = 30_000
/** A watch is prolonged in steps of this, so that each action does not publish a head. */
const PROLONG_BY_MS = 30_000
/** Carves that no operator asked for: so many, and so many bytes, a day and environment. */
export const MAX_UNASKED_CARVES_PER_DAY = 100
export const MAX_UNASKED_CARVE_BYTES_PER_DAY = 20 * 1_024 ** 3

export interface RefreshResult {
  /** The revision that is installed now. */
  revision: number
  /** Why a newer one was held back, if it was. */
  heldBack: string | null
}

/** What a watch came to. */
export interface WatchResult {
  /** Whether the query is still open here. */
  open: boolean
  /** When the acceleration lapses if nothing more happens. */
  acceleratedUntilMs: number
}

export class Environment extends DurableObject<Env> {
  readonly #store: EnvironmentStore
  readonly #queries: HeadQueries
  readonly #heldBack: HeldBack
  /** Each publication is put together over several awaits; one must not overtake another. */
  readonly #publications = new Turns()
  readonly #copies = new Turns()
  #refreshing: Promise<RefreshResult> | null = null

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    applySchema(ctx.storage, ENVIRONMENT_SCHEMA)
    this.#store = new EnvironmentStore(ctx.storage.sql)
    this.#queries = new HeadQueries(this.#store)
    this.#heldBack = new HeldBack(ctx.storage.sql)
  }

  /** The present head; null where there is no such environment. */
  async head(): Promise<EnvironmentHead | null> {
    if (this.#store.head() === null) await this.refresh(1, false)
    return this.#store.head()?.head ?? null
  }

  /** What is not published because it would revoke or empty too much at once; null: nothing. */
  heldBack(): HeldBackSnapshot | null {
    return this.#heldBack.read()
  }

  /** A part's bytes; null where it is unknown. */
  part(hash: string): Bytes | null {
    return this.#store.part(hash)
  }

  /** Definitions of open queries, for answer shards that do not know them yet. */
  definitions(numbers: readonly number[]): QueryDefinition[] {
    return this.#store.queries().filter(({ number }) => numbers.includes(number))
  }

  /**
   * Makes at least this revision live: compiles from one batch read of D1 and publishes it if it is newer. `force`
   * publishes what the safety check holds back: whatever it is, or this revision alone. Throws when D1 does not answer;
   * nothing is changed then.
   */
  async refresh(revision: number, force: boolean | 'this-one'): Promise<RefreshResult> {
    const installed = this.#store.head()?.head.revision ?? 0
    if (installed >= revision && force !== true) return { revision: installed, heldBack: null }
    // Never shared: what others wait for may have begun without force.
    if (force !== false) return this.#compileAndInstall(force === true ? true : revision)
    if (this.#refreshing !== null) await this.#refreshing.catch(() => null)
    this.#refreshing ??= this.#compileAndInstall(false).finally(() => {
      this.#refreshing = null
    })
    return this.#refreshing
  }

  /** A shard says which of its nodes have not answered yet. Level-triggered: the newest report counts. */
  async reportRemaining(shard: number, reports: readonly { number: number; bits: Bytes }[]): Promise<void> {
    const open = new Set(this.#store.queries().map(({ number }) => number))
    for (const { number, bits } of reports)
      if (open.has(number)) this.#store.putRemaining(number, shard, bits)
    this.#queries.changed(reports.map(({ number }) => number))
    await this.#publications.run(() => this.#publish())
    await this.#closeFinished(Date.now())
  }

  /**
   * An operator who watches this query did something: its targets are accelerated for ten minutes from now, as far as
   * the environment's share goes.
   */
  async watch(number: number): Promise<WatchResult> {
    const nowMs = Date.now()
    const query = this.#store.queries().find((query) => query.number === number)
    const watched = this.#store.watches(nowMs).find((watch) => watch.number === number)
    const targets = query?.targets ?? watched?.targets
    if (targets === undefined) return { open: false, acceleratedUntilMs: nowMs }
    const untilMs = nowMs + ACCELERATED_FOR_MS
    if (watched === undefined || untilMs - watched.untilMs >= PROLONG_BY_MS) {
      this.#store.putWatch(number, targets, untilMs)
      await this.#publications.run(() => this.#publish())
    }
    return { open: query !== undefined, acceleratedUntilMs: untilMs }
  }

  /** Takes over what the directory says of brownouts, if it is newer; also with D1 away. */
  async brownOut(state: BrownoutState): Promise<void> {
    if (state.sequence <= this.#store.brownout().sequence) return
    this.#store.putBrownout(state)
    await this.#publications.run(() => this.#publish())
  }

  /** What this object knows of brownouts. */
  brownout(): BrownoutState {
    return this.#store.brownout()
  }

  /** How many nodes are accelerated now, and until when. */
  acceleration(): { nodes: number; untilMs: number | null } {
    const accelerated = this.#store.head()?.head.accelerated
    if (accelerated === undefined || accelerated.untilMs <= Date.now()) return { nodes: 0, untilMs: null }
    const bytes = this.#store.part(accelerated.part)
    return { nodes: bytes === null ? 0 : NodeSet.fromBytes(bytes).size, untilMs: accelerated.untilMs }
  }

  /**
   * Notes the start of a carve that may not have been asked for. True when it may go on: the node is a target of a
   * carve query that is open or was lately, or the day's quota has room.
   */
  admitCarve(carve: string, ordinal: number, bytes: number): boolean {
    const targets = this.#store.carveTargets(Date.now())
    if (targets.some((bytes) => NodeSet.fromBytes(bytes).has(ordinal))) return true
    const day = new Date().toISOString().slice(0, 10)
    const used = this.#store.noteUnaskedCarve(carve, day, bytes)
    const fits = used.count <= MAX_UNASKED_CARVES_PER_DAY && used.bytes <= MAX_UNASKED_CARVE_BYTES_PER_DAY
    if (!fits) this.#store.forgetUnaskedCarve(carve)
    return fits
  }

  /** Ends what is due, heals what was missed, then sleeps until something is due again. */
  override async alarm(): Promise<void> {
    const nowMs = Date.now()
    let more = false
    const duties: (() => Promise<unknown>)[] = [
      () => this.#publications.run(() => this.#publish()),
      async () =>
        this.brownOut(await this.env.DIRECTORY.getByName(DIRECTORY_NAME).brownout(this.#environmentId)),
      () => this.#closeFinished(nowMs),
      () => eraseForgotten(this.env, this.#environmentId),
      () => this.#compileAndInstall(false),
      async () => (more = await handOverClosed(this.env, this.#environmentId)),
      async () => (more = (await eraseExpired(this.env, this.#environmentId, nowMs)) || more),
      () => this.#copy(),
    ]
    const isDone = await runDuties('environment-alarm', duties, DUTY_WITHIN_MS)
    await this.#arm(!isDone || more ? TRY_AGAIN_AFTER_MS : RECONCILE_EVERY_MS)
  }

  get #environmentId(): string {
    const { name } = this.ctx.id
    if (name === undefined) throw new Error('the object is addressed by name')
    return name
  }

  async #compileAndInstall(force: boolean | number): Promise<RefreshResult> {
    const rows = await readEnvironmentRows(this.env.DB, this.#environmentId)
    if (rows === null) return { revision: this.#store.head()?.head.revision ?? 0, heldBack: null }
    const compiled = await compileEnvironment(rows)
    return this.#publications.run(() => this.#installIfNewer(compiled, force))
  }

  async #installIfNewer(compiled: CompiledEnvironment, force: boolean | number): Promise<RefreshResult> {
    const { revokedCount, nodeCount, accelerateShare, scheduledCount, intervalPlaces } = compiled
    const facts: SnapshotFacts = { revokedCount, nodeCount, accelerateShare, scheduledCount, intervalPlaces }
    const installed = this.#store.head()
    if (installed !== null && isOutdated(installed.head, compiled.revision, this.#store)) {
      return { revision: installed.head.revision, heldBack: null }
    }
    const verdict = mayPublish(installed?.facts ?? null, facts)
    if (!verdict.ok && force !== true && force !== compiled.revision) {
      this.#heldBack.note(compiled.revision, verdict.reason, Date.now())
      return { revision: installed?.head.revision ?? 0, heldBack: verdict.reason.kind }
    }
    await this.#install(compiled, facts)
    this.#heldBack.clear()
    return { revision: compiled.revision, heldBack: null }
  }

  async #install(compiled: CompiledEnvironment, facts: SnapshotFacts): Promise<void> {
    for (const [hash, bytes] of compiled.parts) this.#store.putPart(hash, bytes)
    this.#store.replaceQueries(compiled.queries)
    this.#queries.changed()
    const { environmentId, name, revision, standing, configurationVersion } = compiled
    const { configurationParts, layers, cohorts, namesPart, retention, revokedPart } = compiled
    const base = { environmentId, name, revision, ...standing, configurationVersion, configurationParts }
    const layered = layers === undefined ? base : { ...base, layers }
    const parted = cohorts.length === 0 ? layered : { ...layered, cohorts }
    await this.#publish({ ...parted, namesPart, retention, revokedPart }, facts)
  }

  /** Puts the head together anew: the given base or the present one, and the queries with their remaining nodes. */
  async #publish(base?: LastingHead, newFacts?: SnapshotFacts): Promise<void> {
    const nowMs = Date.now()
    const queries = await this.#queries.open(nowMs)
    const present = this.#store.head()
    const facts = newFacts ?? present?.facts
    if (facts === undefined || (base === undefined && present === null)) return
    const brownout = this.#store.brownout()
    const isCalm = activeOf(brownout, nowMs).length === 0
    const accelerated = isCalm ? await acceleratedPart(this.#store, facts, nowMs) : undefined
    const lasting = base ?? (present?.head as EnvironmentHead)
    const intervals = headIntervals(lasting, facts, this.#store, stretchOf(brownout, nowMs))
    const moving = { queries, accelerated, intervals }
    if (base === undefined && saysAlready(present?.head, moving)) return
    const head = headOf(lasting, (present?.head.publication ?? 0) + 1, moving)
    this.#store.putHead(head, facts)
    const dropped = this.#store.dropUnusedParts(new Set(partsOf(head)), nowMs)
    if (dropped.length > 0) this.ctx.waitUntil(deleteCopies(this.env.ARCHIVE, this.#environmentId, dropped))
    await this.#arm(RECONCILE_EVERY_MS)
    this.ctx.waitUntil(
      this.#copy().catch(async (error: unknown) => {
        console.error(JSON.stringify({ event: 'snapshot-copy-failed', error: String(error) }))
        await this.#arm(TRY_AGAIN_AFTER_MS)
      }),
    )
  }

  /** Tells D1 which open queries are over, then reads back what that made of the environment. */
  async #closeFinished(nowMs: number): Promise<void> {
    const closed = this.#queries.finished(nowMs)
    if (closed.length === 0) return
    await closeQueries(this.env.DB, this.#environmentId, closed, nowMs)
    await this.#compileAndInstall(false)
  }

  /** One copy after the other, so that an older head never ends up over a newer one; a hung one is given up. */
  #copy(): Promise<void> {
    return this.#copies.run(() =>
      new Deadline(COPY_WITHIN_MS).run(copySnapshot(this.env.ARCHIVE, this.#environmentId, this.#store)),
    )
  }

  /** Wakes up after `withinMs`, when the next query or watch ends, or when it was to wake up anyway: whichever is first. */
  async #arm(withinMs: number): Promise<void> {
    const nowMs = Date.now()
    const ends = [
      ...this.#store.queries().map(({ expiresAtMs }) => expiresAtMs),
      ...this.#store.watches(nowMs).map(({ untilMs }) => untilMs),
      nextEndOf(this.#store.brownout(), nowMs) ?? Number.POSITIVE_INFINITY,
    ]
    const due = Math.min(nowMs + withinMs, ...ends.map((endMs) => Math.max(endMs, nowMs + 1_000)))
    const armed = await this.ctx.storage.getAlarm()
    if (armed === null || armed > due || armed < nowMs) await this.ctx.storage.setAlarm(due)
  }
}
