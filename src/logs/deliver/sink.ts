/**
 * The Sink object: one for each destination, named by its UUID. It reads the archive from its cursor, delivers, moves
 * on. All work is done in its alarm, which the platform repeats until it ends well: being woken only brings it nearer.
 */

import { DurableObject } from 'cloudflare:workers'
import { readSinkConfig, resealSink } from '../../db/sink-definitions.ts'
import { Deadline } from '../../lib/deadline.ts'
import { applySchema } from '../../lib/object-schema.ts'
import type { FollowerLag } from '../archive-followers.ts'
import { alarmBy, alarmInPlace } from './alarm.ts'
import { DeliveryRun } from './delivery-run.ts'
import { healthAfter, type Health } from './health.ts'
import { livePlace, passedSequence } from './live-source.ts'
import { QUARANTINE_START } from './quarantine-source.ts'
import { replayPlace } from './replay-source.ts'
import { isSealedByOldKey, openSecrets, sealSecrets } from './sealed-secrets.ts'
import type { SinkConfig } from './sink-config.ts'
import { purgeSinkQuarantine } from './sink-quarantine.ts'
import { SINK_SCHEMA, SinkStore } from './sink-store.ts'
import {
  LIVE_TRACK,
  newTrack,
  settle,
  trackView,
  type Track,
  type TrackSpec,
  type TrackView,
} from './track.ts'

/** A lost wake-up is made up for after this. */
const HEARTBEAT_MS = 60_000
/** A change that did not reach the object is seen after this. */
const CONFIG_FRESH_MS = 5 * 60_000
/** One alarm's work: 30 s of CPU (Workers limits) compress and parse a multiple of this. */
const MAX_RUN_BYTES = 64 * 1_024 * 1_024
const MAX_RUN_MS = 60_000
const CALL_WITHIN_MS = 10_000
/** Replays that wait or run. */
export const MAX_ACTIVE_REPLAYS = 20

export interface SinkStatus {
  revision: number
  paused: boolean
  health: Health
  tracks: TrackView[]
  /** Null: the archive's index does not answer. */
  lag: FollowerLag | null
}

export class Sink extends DurableObject<Env> {
  readonly #store: SinkStore
  #running = false
  #woken = false

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    applySchema(ctx.storage, SINK_SCHEMA)
    this.#store = new SinkStore(ctx.storage.sql)
  }

  /** There may be something to deliver. Cheap: the work is the alarm's. */
  async wake(sinkId: string): Promise<void> {
    if (this.#store.config === null) {
      const config = await readSinkConfig(this.env.DB, sinkId)
      if (config !== null) await this.configure(config)
      return
    }
    if (this.#store.config.paused) return
    this.#woken = true
    if (!this.#running) await this.#alarmBy(this.#dueAtMs())
  }

  /** Takes a definition that is newer than its own. The first one makes it follow the archive, from then on. */
  async configure(config: SinkConfig): Promise<void> {
    const before = this.#store.config
    if (before !== null && before.revision > config.revision) return
    if (this.#store.track(LIVE_TRACK) === null) {
      const archive = this.env.ARCHIVE_INDEX.getByName(config.environmentId)
      const passed = await archive.follow({ kind: 'sink', name: config.id }, null)
      if (this.#store.track(LIVE_TRACK) === null) {
        this.#store.putTrack(newTrack(LIVE_TRACK, { kind: 'live' }, livePlace(passed + 1), Date.now()))
      }
    }
    this.#takeConfig(config)
    await this.#alarmBy(Date.now())
  }

  /** Sends a range of the archive, or what is in quarantine, beside the live lines. False: too many already. */
  async replay(id: string, spec: Exclude<TrackSpec, { kind: 'live' }>): Promise<boolean> {
    if (this.#activeReplays().length >= MAX_ACTIVE_REPLAYS) return false
    const place = spec.kind === 'replay' ? replayPlace(spec) : QUARANTINE_START
    this.#store.putTrack(newTrack(id, spec, place, Date.now()))
    this.#woken = true
    if (!this.#running) await this.#alarmBy(this.#dueAtMs())
    return true
  }

  /** Ends a replay where it is. False where there is no such one. */
  cancelReplay(id: string): boolean {
    const track = this.#store.track(id)
    if (track === null || track.spec.kind === 'live') return false
    if (track.status === 'active') {
      this.#store.putTrack({ ...track, status: 'cancelled', plans: [], finishedAtMs: Date.now() })
    }
    return true
  }

  /** How it is. Null before its definition has reached it. */
  async status(): Promise<SinkStatus | null> {
    const { config, health } = this.#store
    if (config === null) return null
    if (!config.paused && !this.#running) {
      await this.#setAlarm(alarmInPlace(await this.ctx.storage.getAlarm(), this.#dueAtMs(), Date.now()))
    }
    const tracks = this.#store.tracks.map(trackView)
    const live = this.#store.track(LIVE_TRACK)
    const archive = this.env.ARCHIVE_INDEX.getByName(config.environmentId)
    let lag: FollowerLag | null = null
    try {
      const passed = live === null ? 0 : passedSequence(live.place)
      lag = await new Deadline(CALL_WITHIN_MS).run(archive.lagAfter(passed, config.filter.types))
    } catch (error) {
      console.warn(JSON.stringify({ event: 'sink-lag-unknown', sink: config.id, error: String(error) }))
    }
    return { revision: config.revision, paused: config.paused, health, tracks, lag }
  }

  /**
   * Stops following and forgets everything, its quarantine too. In this order: while compaction would wait for it, it
   * still knows itself, and its alarm ends what was begun here.
   */
  async erase(environmentId: string, sinkId: string): Promise<void> {
    await this.env.ARCHIVE_INDEX.getByName(environmentId).unfollow({ kind: 'sink', name: sinkId })
    await purgeSinkQuarantine(this.env, { environmentId, sinkId }, null)
    this.#store.clear()
    await this.ctx.storage.deleteAlarm()
  }

  override async alarm(): Promise<void> {
    this.#running = true
    let nextMs: number | null
    try {
      nextMs = await this.#work()
    } catch (error) {
      nextMs = this.#failed(error)
    } finally {
      this.#running = false
    }
    if (nextMs !== null && this.#store.config !== null) await this.#alarmBy(nextMs)
  }

  /** Works until there is nothing, it has to wait, or it was enough for one alarm. When to go on; null: never. */
  async #work(): Promise<number | null> {
    const endsAtMs = Date.now() + MAX_RUN_MS
    for (;;) {
      const config = await this.#currentConfig()
      if (config === null) return null
      if (config.paused) return Date.now() + CONFIG_FRESH_MS
      const run = new DeliveryRun(this.env, this.#store, config)
      try {
        const nextMs = await this.#runUntil(run, config, endsAtMs)
        if (nextMs !== null) return nextMs
      } finally {
        await run.close()
      }
    }
  }

  /** Null: the definition has changed. */
  async #runUntil(run: DeliveryRun, config: SinkConfig, endsAtMs: number): Promise<number | null> {
    for (;;) {
      this.#woken = false
      const dueAtMs = this.#dueAtMs()
      if (dueAtMs > Date.now()) return dueAtMs
      let nextMs = Date.now() + HEARTBEAT_MS
      let worked = false
      for (const id of [LIVE_TRACK, this.#activeReplays()[0]?.id]) {
        if (id === undefined || this.#dueAtMs() > Date.now()) continue
        const round = await run.round(id)
        if (this.#store.config !== config) return this.#store.config === null ? nextMs : null
        if (round.kind === 'worked') worked = true
        else if (round.kind === 'waiting') nextMs = Math.min(nextMs, round.untilMs)
      }
      const isOver = Date.now() > endsAtMs || run.sentBytes > MAX_RUN_BYTES
      const hasMore = worked || this.#woken || this.#activeReplays().length > 0
      if (isOver && hasMore) return Math.max(Date.now(), this.#dueAtMs())
      if (!hasMore) return Math.max(nextMs, this.#dueAtMs())
    }
  }

  #activeReplays(): Track[] {
    return this.#store.tracks.filter(({ id, status }) => id !== LIVE_TRACK && status === 'active')
  }

  #dueAtMs(): number {
    const { nextAttemptAtMs, nextAllowedAtMs } = this.#store.health
    return Math.max(nextAttemptAtMs, nextAllowedAtMs)
  }

  /** Its definition, read again now and then: what D1 does not have any more is over. */
  async #currentConfig(): Promise<SinkConfig | null> {
    const held = this.#store.config
    if (held === null || Date.now() - this.#store.configReadMs < CONFIG_FRESH_MS) return held
    try {
      const read = await new Deadline(CALL_WITHIN_MS).run(readSinkConfig(this.env.DB, held.id))
      if (read === null) await this.erase(held.environmentId, held.id)
      else this.#takeConfig(await this.#resealed(read))
    } catch (error) {
      console.warn(JSON.stringify({ event: 'sink-definition-not-read', sink: held.id, error: nameOf(error) }))
    }
    return this.#store.config
  }

  #takeConfig(config: SinkConfig): void {
    const before = this.#store.config
    this.#store.putConfig(config, Date.now())
    if (before === null || before.revision === config.revision) return
    // Somebody has mended something: no waiting for what was.
    const forgotten = { nextAttemptAtMs: 0, failures: 0, isToldToWait: false, refusedInRow: 0 }
    this.#store.putHealth({ ...this.#store.health, ...forgotten })
    const live = this.#store.track(LIVE_TRACK)
    const isFilterNew = JSON.stringify(before.filter) !== JSON.stringify(config.filter)
    // Batches were cut of other lines: they are cut anew.
    if (live !== null && isFilterNew) this.#store.putTrack({ ...live, plans: [] })
  }

  /** After a rotation of the signing keys: the secrets under the current one, so that the old one can go. */
  async #resealed(config: SinkConfig): Promise<SinkConfig> {
    const { id, sealedSecrets } = config
    const { SIGNING_KEYS, DB } = this.env
    if (!(await isSealedByOldKey(SIGNING_KEYS, sealedSecrets))) return config
    const sealed = await sealSecrets(SIGNING_KEYS, id, await openSecrets(SIGNING_KEYS, id, sealedSecrets))
    await resealSink(DB, id, sealedSecrets, sealed)
    return { ...config, sealedSecrets: sealed }
  }

  /** The archive or a binding failed: not the destination's fault, but it waits all the same. */
  #failed(error: unknown): number {
    const live = this.#store.track(LIVE_TRACK)
    console.error(JSON.stringify({ event: 'sink-run-failed', error: nameOf(error) }))
    if (live === null) return Date.now() + HEARTBEAT_MS
    const failure = { kind: 'retry' as const, reason: 'the archive could not be read', retryAfterMs: null }
    const settled = { ...settle(live, [], true), failure }
    this.#store.putHealth(healthAfter(this.#store.health, settled, Date.now(), Math.random()))
    return this.#dueAtMs()
  }

  /** Sees to it that there is an alarm at that time or before. */
  async #alarmBy(atMs: number): Promise<void> {
    await this.#setAlarm(alarmBy(await this.ctx.storage.getAlarm(), atMs, Date.now()))
  }

  /** Null: as it is. */
  async #setAlarm(atMs: number | null): Promise<void> {
    if (atMs !== null) await this.ctx.storage.setAlarm(atMs)
  }
}

function nameOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : 'unknown'
}
