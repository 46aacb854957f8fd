/**
 * One sink of two is away and comes back. The hour that it is away is played by its backlog: POSTs go on at the rate of a
 * larger fleet, so that as much waits after some seconds as a smaller one leaves in an hour.
 */

import { lastLineNumber } from '../log-body.ts'
import type { BenchNode } from '../nodes.ts'
import { goal, table, type Goal } from '../report.ts'
import type { BenchServer } from '../server.ts'
import { percentile } from '../stats.ts'
import { removeSink, sinkPath, startGeneric, type Destination } from './destinations.ts'
import { LineCounter } from './line-count.ts'
import { operator } from './operator.ts'
import { Poster } from './posts.ts'

const LINES_OF_POST = 20
/** POSTs of a second: 1,000 lines. */
const POSTS_A_SECOND = 50
const TICK_MS = 100
/** Lines of a node in an hour, by 1.2 MB a day (design 5) and 400 bytes a line. */
const NODE_LINES_AN_HOUR = 125
const SETTLE_WITHIN_MS = 90_000
const POLL_MS = 20

const PHASES = ['before', 'away', 'draining', 'after'] as const
type Phase = (typeof PHASES)[number]
const TITLES: Record<Phase, string> = {
  before: 'before',
  away: 'while it is away',
  draining: 'while it drains',
  after: 'afterwards',
}

export interface OutageOptions {
  /** How long it is well, away, and well again. */
  wellMs: number
  awayMs: number
  /** The cap of the sink that goes away. */
  linesPerSecond: number
}

export interface Outage {
  /** From the POST to the other sink, in milliseconds. */
  lag: { phase: Phase; lines: number; p50Ms: number; p95Ms: number }[]
  /** Lines that waited when the sink came back. */
  backlog: number
  cap: number
  drainedPerSecond: number
  /** Of what was sent while the one was away. */
  missedByOther: number
  /** In the end, of both. */
  missing: number
}

export async function runOutage(
  server: BenchServer,
  nodes: readonly BenchNode[],
  options: OutageOptions,
): Promise<Outage> {
  const { linesPerSecond } = options
  const away = await startGeneric(server, 'goes away', capped(linesPerSecond))
  const other = await startGeneric(server, 'stays')
  const poster = new Poster(await server.url(), nodes)
  const posting = new SteadyPosts(poster)
  try {
    return await play(server, { away, other, poster, posting }, options)
  } finally {
    posting.stop()
    await removeSink(server, away)
    await removeSink(server, other)
  }
}

function capped(linesPerSecond: number): { linesPerSecond: number; maxLines: number } {
  return { linesPerSecond, maxLines: Math.min(1_000, linesPerSecond) }
}

interface Cast {
  away: Destination
  other: Destination
  poster: Poster
  posting: SteadyPosts
}

async function play(
  server: BenchServer,
  { away, other, poster, posting }: Cast,
  { wellMs, awayMs, linesPerSecond }: OutageOptions,
): Promise<Outage> {
  const first = lastLineNumber() + 1
  const most =
    Math.ceil((2 * wellMs + awayMs + 3 * SETTLE_WITHIN_MS) / 1_000) * POSTS_A_SECOND * LINES_OF_POST
  const counters = { away: new LineCounter(first, most), other: new LineCounter(first, most) }
  const lags: Record<Phase, number[]> = { before: [], away: [], draining: [], after: [] }
  const drained: number[] = []
  let phase: Phase = 'before'
  other.onLine = ({ number, eventId, receivedAtMs }) => {
    counters.other.take(number, eventId)
    lags[phase].push(Date.now() - receivedAtMs)
  }
  away.onLine = ({ number, eventId }) => {
    counters.away.take(number, eventId)
    if (phase === 'draining') drained.push(performance.now())
  }
  posting.start()
  await until(() => counters.other.lines > 0 && counters.away.lines > 0)
  await pause(wellMs)
  away.isDown = true
  phase = 'away'
  await pause(awayMs)
  const sentMeanwhile = poster.count.lines
  await until(() => counters.other.lines >= sentMeanwhile)
  const missedByOther = Math.max(0, sentMeanwhile - counters.other.lines)
  const backlog = poster.count.lines - counters.away.lines
  const backMs = performance.now()
  away.isDown = false
  phase = 'draining'
  // Else it would wait for the end of its back-off, up to five minutes: saving a sink ends that.
  await operator(server, 'PATCH', sinkPath(server, away), { name: 'is back' })
  await until(() => counters.away.lines >= sentMeanwhile)
  phase = 'after'
  await pause(wellMs)
  await posting.end()
  await until(() => Object.values(counters).every(({ lines }) => lines >= poster.count.lines))
  return {
    lag: PHASES.map((name) => ({
      phase: name,
      lines: lags[name].length,
      p50Ms: percentile(lags[name], 0.5),
      p95Ms: percentile(lags[name], 0.95),
    })),
    backlog,
    cap: linesPerSecond,
    drainedPerSecond: rateOf(drained, backMs, capped(linesPerSecond).maxLines),
    missedByOther,
    missing: poster.count.lines * 2 - counters.away.lines - counters.other.lines,
  }
}

/**
 * Events a second since a time. The first batch is free: a cap says how long to wait after one. So a sink that keeps to
 * its cap is never over it, however late the machine brings what it sent. Pure.
 */
export function rateOf(timesMs: readonly number[], sinceMs: number, firstBatch: number): number {
  const lastMs = timesMs.at(-1) ?? Number.NaN
  return ((timesMs.length - firstBatch) / (lastMs - sinceMs)) * 1_000
}

/** POSTs at a steady rate, whether they are answered or not. */
class SteadyPosts {
  readonly #poster: Poster
  readonly #sending = new Set<Promise<void>>()
  #timer: NodeJS.Timeout | undefined
  #failure: unknown = null

  constructor(poster: Poster) {
    this.#poster = poster
  }

  start(): void {
    this.#timer = setInterval(() => {
      for (let i = 0; i < (POSTS_A_SECOND * TICK_MS) / 1_000; i += 1) {
        const sending: Promise<void> = this.#poster
          .post(LINES_OF_POST, 'queue')
          .catch((error: unknown) => void (this.#failure = error))
          .finally(() => this.#sending.delete(sending))
        this.#sending.add(sending)
      }
    }, TICK_MS)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** Stops, and waits for what is on its way. */
  async end(): Promise<void> {
    this.stop()
    await Promise.all(this.#sending)
    if (this.#failure !== null) throw this.#failure
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Waits; what is not so after a while the counts tell. */
async function until(isSo: () => boolean): Promise<void> {
  const endsAtMs = Date.now() + SETTLE_WITHIN_MS
  while (!isSo() && Date.now() < endsAtMs) await pause(POLL_MS)
}

export function outageTable({ lag, backlog, cap, drainedPerSecond }: Outage): string {
  const rows = lag.map(({ phase, lines, p50Ms, p95Ms }) => [
    TITLES[phase],
    lines.toLocaleString('en'),
    (p50Ms / 1_000).toFixed(2),
    (p95Ms / 1_000).toFixed(2),
  ])
  return `${table(['one sink is away: the other one', 'lines', 'POST to sink, s', 'p95'], rows)}

Away until ${backlog.toLocaleString('en')} lines waited: what ${Math.round(backlog / NODE_LINES_AN_HOUR)} nodes leave in an hour (${NODE_LINES_AN_HOUR} lines each). Then saved by its operator, which ends its
back-off; drained at ${Math.round(drainedPerSecond)} lines/s under a cap of ${cap}, while ${POSTS_A_SECOND * LINES_OF_POST} lines/s went on coming.`
}

export function outageGoals({ cap, drainedPerSecond, missedByOther, missing, lag }: Outage): Goal[] {
  const p50 = (phase: Phase) => lag.find((row) => row.phase === phase)?.p50Ms ?? Number.NaN
  return [
    goal('lines the other sink misses while one is away', missedByOther, '', '<=', 0, true),
    goal('lines missing in the end, both sinks', missing, '', '<=', 0, true),
    goal('backlog drained, of its cap', drainedPerSecond / cap, '', '<=', 1, true),
    goal('backlog drained, of its cap', drainedPerSecond / cap, '', '>=', 0.8, false),
    goal("the other's lag while one is away", p50('away') / p50('before'), '× before', '<=', 1.25, false),
    goal("the other's lag while one drains", p50('draining') / p50('before'), '× before', '<=', 1.5, false),
  ]
}
