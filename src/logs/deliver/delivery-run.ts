/**
 * One stretch of a sink's work: rounds of cutting, sending and settling, for its live cursor and its replays in turn.
 * What is on its way is written down before it goes, and the cursor moves only after the destination said yes: a crash
 * at any point sends the same batches again, under the same ids.
 */

import { hexOf, sha256, utf8 } from '../../lib/bytes.ts'
import type { DeliveryOutcome } from '../sinks/sink-kind.ts'
import { BatchCutter, type Cut, type CutLimits } from './batch-cutter.ts'
import { deliverBatch, openSink, type OpenSink } from './deliver-batch.ts'
import { healthAfter, mayPutAside, nextAllowedAtMs } from './health.ts'
import { LineFilter } from './line-filter.ts'
import type { LineSource } from './line-source.ts'
import { LiveSource, livePlace, passedSequence, type SourceContext } from './live-source.ts'
import { comparePlaces } from './place.ts'
import { passedObjects, QuarantineSource } from './quarantine-source.ts'
import { ReplaySource } from './replay-source.ts'
import { batchLimits, type SinkConfig } from './sink-config.ts'
import { putSinkQuarantine } from './sink-quarantine.ts'
import type { SinkStore } from './sink-store.ts'
import { LIVE_TRACK, settle, type Attempted, type Plan, type Track } from './track.ts'

/** What a round came to. */
export type Round = { kind: 'worked' } | { kind: 'idle' } | { kind: 'waiting'; untilMs: number }

export class DeliveryRun {
  /** Bytes of lines that were sent. */
  sentBytes = 0
  readonly #env: Env
  readonly #store: SinkStore
  readonly #config: SinkConfig
  readonly #cutters = new Map<string, BatchCutter>()
  #opened: OpenSink | null = null
  /** What the destination last found too large, halved; null: nothing. */
  #learnedMaxBytes: number | null = null

  constructor(env: Env, store: SinkStore, config: SinkConfig) {
    this.#env = env
    this.#store = store
    this.#config = config
  }

  /** One round of a cursor. Throws where the archive fails. */
  async round(trackId: string): Promise<Round> {
    const track = this.#store.track(trackId)
    if (track === null || track.status !== 'active') return { kind: 'idle' }
    const opened = this.#opened ?? (await this.#open())
    if (opened === null) return { kind: 'idle' }
    const waitUntilMs = await this.#waitUntilMs(track)
    if (waitUntilMs !== null) return { kind: 'waiting', untilMs: waitUntilMs }
    const cuts = track.plans.length === 0 ? await this.#cutNew(track, opened) : await this.#cutAgain(track)
    if (cuts.length === 0) {
      if (trackId !== LIVE_TRACK) this.#store.putTrack({ ...track, status: 'done', finishedAtMs: Date.now() })
      return { kind: 'idle' }
    }
    const attempts = await this.#send(track, cuts, opened)
    if (attempts === null) return { kind: 'idle' }
    await this.#settle(trackId, attempts)
    return { kind: 'worked' }
  }

  async close(): Promise<void> {
    for (const cutter of this.#cutters.values()) await cutter.close()
    this.#cutters.clear()
  }

  /** Settings and secrets, read when there is something to send first; null: unreadable, which is kept as a failure. */
  async #open(): Promise<OpenSink | null> {
    const opened = await openSink(this.#env, this.#config)
    if (opened.ok) {
      this.#opened = opened.value
      return opened.value
    }
    const track = this.#store.track(LIVE_TRACK)
    if (track === null) return null
    const failure = { kind: 'refused' as const, reason: opened.reason, retryAfterMs: null }
    const settled = { ...settle(track, [], true), failure }
    this.#store.putHealth(healthAfter(this.#store.health, settled, Date.now(), Math.random()))
    return null
  }

  /** A live batch that is neither full nor old enough waits: until then. */
  async #waitUntilMs(track: Track): Promise<number | null> {
    const maxAgeMs = this.#config.delivery.maxAgeSeconds * 1_000
    if (track.id !== LIVE_TRACK || maxAgeMs === 0 || track.plans.length > 0) return null
    const { rows } = await this.#liveSource(track).rowsAfter(passedSequence(track.place))
    const bytes = rows.reduce((sum, row) => sum + row.lineBytes, 0)
    const lines = rows.reduce((sum, row) => sum + row.lines, 0)
    const { maxBytes, maxLines } = this.#config.delivery
    if (rows.length === 0 || bytes >= maxBytes || lines >= maxLines) return null
    const dueAtMs = Math.min(...rows.map(({ firstMs }) => firstMs)) + maxAgeMs
    return dueAtMs > Date.now() ? dueAtMs : null
  }

  async #cutNew(track: Track, opened: OpenSink): Promise<{ plan: Plan; cut: Cut }[]> {
    const cutter = this.#cutterAt(track)
    const cuts: { plan: Plan; cut: Cut }[] = []
    while (cuts.length < this.#config.delivery.concurrency) {
      const cut = await cutter.next(this.#limits(opened))
      if (cut === null) break
      const { start, end, lines } = cut
      cuts.push({ plan: { start, end, attempt: 0, state: null, lines: lines.length, done: false }, cut })
      if (lines.length === 0) break
    }
    return cuts
  }

  async #cutAgain(track: Track): Promise<{ plan: Plan; cut: Cut }[]> {
    const cutter = this.#cutterAt(track)
    const cuts: { plan: Plan; cut: Cut }[] = []
    for (const plan of track.plans) {
      const cut = await cutter.until(plan.end)
      // What the kind remembers is of the lines as they were.
      const state = plan.lines === cut.lines.length ? plan.state : null
      if (!plan.done) cuts.push({ plan: { ...plan, state, lines: cut.lines.length }, cut })
      if (cuts.length >= this.#config.delivery.concurrency) break
    }
    return cuts
  }

  /** Null where the cursor was moved meanwhile: cancelled, or with another filter. */
  async #send(
    track: Track,
    cuts: readonly { plan: Plan; cut: Cut }[],
    opened: OpenSink,
  ): Promise<Attempted[] | null> {
    if (this.#store.track(track.id) !== track || this.#store.config !== this.#config) return null
    const nowMs = Date.now()
    const sending = cuts.map(({ plan, cut }) => ({ plan: { ...plan, attempt: plan.attempt + 1 }, cut }))
    const plans = track.plans.length === 0 ? sending.map(({ plan }) => plan) : merged(track.plans, sending)
    const sent = { lines: 0, bytes: 0 }
    for (const { cut } of sending) {
      sent.lines += cut.lines.length
      sent.bytes += cut.bytes
    }
    if (sent.lines > 0) {
      this.#store.putTrack({ ...track, plans })
      const allowedAtMs = nextAllowedAtMs(this.#store.health, this.#config.delivery, sent, nowMs)
      if (this.#config.delivery.linesPerSecond !== null || this.#config.delivery.bytesPerSecond !== null) {
        this.#store.putHealth({ ...this.#store.health, nextAllowedAtMs: allowedAtMs })
      }
    } else this.#store.putTrack({ ...track, plans })
    this.sentBytes += sent.bytes
    return Promise.all(
      sending.map(async ({ plan, cut }) => ({
        plan,
        cut,
        outcome: await this.#attempt(track, plan, cut, opened),
      })),
    )
  }

  async #attempt(track: Track, plan: Plan, cut: Cut, opened: OpenSink): Promise<DeliveryOutcome> {
    if (cut.lines.length === 0) return { kind: 'delivered', rejected: [] }
    const batch = {
      id: await this.#batchId(track, plan),
      lines: cut.lines.map(({ line }) => line),
      bytes: cut.bytes,
      attempt: plan.attempt,
      nowMs: Date.now(),
    }
    const timeoutMs = this.#config.delivery.timeoutSeconds * 1_000
    return deliverBatch(this.#env, opened, batch, { state: plan.state, timeoutMs })
  }

  async #settle(trackId: string, attempts: readonly Attempted[]): Promise<void> {
    const before = this.#store.track(trackId)
    if (before === null) return
    const settled = settle(before, attempts, mayPutAside(this.#store.health))
    for (const { cut, rejected } of settled.rejections) {
      const batchId = await this.#batchId(before, cut)
      const place = { environmentId: this.#config.environmentId, sinkId: this.#config.id, batchId }
      await putSinkQuarantine(
        this.#env,
        place,
        cut.lines.map(({ line }) => line),
        rejected,
      )
    }
    if (settled.tooLargeBytes !== null) this.#learnedMaxBytes = Math.ceil(settled.tooLargeBytes / 2)
    // Putting aside took a while: the cursor may have been moved by its operators.
    const now = this.#store.track(trackId)
    if (now === null) return
    const isSame = JSON.stringify(now.plans) === JSON.stringify(before.plans)
    if (isSame) this.#store.putTrack({ ...settled.track, status: now.status, finishedAtMs: now.finishedAtMs })
    this.#store.putHealth(healthAfter(this.#store.health, settled, Date.now(), Math.random()))
    await this.#clearSentAgain(before, settled.track)
  }

  /** Of what was in quarantine and is sent again, the objects that are through. */
  async #clearSentAgain({ spec, place }: Track, after: Track): Promise<void> {
    if (spec.kind !== 'quarantine') return
    const keys = spec.keys.slice(passedObjects(place), passedObjects(after.place))
    if (keys.length > 0) await this.#env.ARCHIVE.delete(keys)
  }

  /** Reads on where it stopped, unless the cursor is elsewhere: after a failure it goes back. */
  #cutterAt(track: Track): BatchCutter {
    const known = this.#cutters.get(track.id)
    if (known !== undefined && !known.isAtEnd && comparePlaces(known.place, track.place) === 0) return known
    const cutter = new BatchCutter(this.#sourceOf(track), track.place)
    this.#cutters.set(track.id, cutter)
    return cutter
  }

  #sourceOf(track: Track): LineSource {
    const { spec } = track
    if (spec.kind === 'live') return this.#liveSource(track)
    if (spec.kind === 'quarantine') return new QuarantineSource(this.#env, spec.keys)
    return new ReplaySource(this.#contextOf(new LineFilter(spec.filter)), spec)
  }

  #liveSource(track: Track): LiveSource {
    const passed = () => passedSequence(this.#store.track(track.id)?.place ?? livePlace(0))
    return new LiveSource(this.#contextOf(new LineFilter(this.#config.filter)), this.#config.id, passed)
  }

  #contextOf(filter: LineFilter): SourceContext {
    return {
      env: this.#env,
      environmentId: this.#config.environmentId,
      filter,
      missed: ({ key, lines }) => {
        console.warn(JSON.stringify({ event: 'sink-missed-object', sink: this.#config.id, key, lines }))
        const { missedObjects, missedLines } = this.#store.health
        this.#store.putHealth({
          ...this.#store.health,
          missedObjects: missedObjects + 1,
          missedLines: missedLines + lines,
        })
      },
    }
  }

  #limits({ kind }: OpenSink): CutLimits {
    const limits = batchLimits(this.#config.delivery, kind)
    return { ...limits, maxBytes: Math.min(limits.maxBytes, this.#learnedMaxBytes ?? limits.maxBytes) }
  }

  /** The same lines have the same id, whenever they are sent. */
  async #batchId({ id, spec }: Track, { start, end }: Pick<Plan, 'start' | 'end'>): Promise<string> {
    const filter = spec.kind === 'live' ? this.#config.filter : null
    const named = JSON.stringify([this.#config.id, id, filter, start, end])
    return hexOf((await sha256(utf8(named))).subarray(0, 16))
  }
}

/** The plans of a cursor with those that are sent now. */
function merged(plans: readonly Plan[], sending: readonly { plan: Plan }[]): Plan[] {
  return plans.map(
    (plan) => sending.find((sent) => comparePlaces(sent.plan.end, plan.end) === 0)?.plan ?? plan,
  )
}
