/** A sink as operators see it: its definition, and how it is. Never its secrets. */

import { z } from '@hono/zod-openapi'
import type { SinkRow } from '../db/sinks.ts'
import { Deadline } from '../lib/deadline.ts'
import { rfc3339, rfc3339OrNull } from '../lib/time.ts'
import type { SinkStatus } from '../logs/deliver/sink.ts'
import { LIVE_TRACK, type TrackSpec, type TrackView } from '../logs/deliver/track.ts'
import { SINK_KIND_NAMES } from '../logs/sinks/sink-kind.ts'
import type { OperatorContext } from './context.ts'
import { time } from './describe.ts'
import { reasonOf } from './failure.ts'
import { deliveryBody, filterBody } from './sink-bodies.ts'
import { originOfSink } from './sink-origin.ts'

/** A page of sinks asks each for its health. */
const STATUS_WITHIN_MS = 3_000

const STATES = ['ok', 'behind', 'retrying', 'refused', 'paused'] as const

const healthSchema = z
  .object({
    state: z.enum(STATES).openapi({
      description:
        '`behind`: lines wait. `retrying`: the destination failed and is left alone for a while. `refused`: its ' +
        'settings or rights are wrong.',
    }),
    lag: z
      .object({ lines: z.int(), objects: z.int(), seconds: z.number() })
      .nullable()
      .openapi({ description: 'What is not delivered yet; lines before the filter.' }),
    lastSuccessAt: time.nullable(),
    lastError: z.object({ at: time, reason: z.string() }).nullable(),
    nextAttemptAt: time.nullable(),
    delivered: z.object({ lines: z.int(), bytes: z.int() }),
    rejectedLines: z.int().openapi({ description: 'Refused for good: in the quarantine of the sink.' }),
    missed: z
      .object({ objects: z.int(), lines: z.int() })
      .openapi({ description: 'Deleted or damaged before they could be read.' }),
  })
  .openapi('SinkHealth')

export const sinkSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    kind: z.enum(SINK_KIND_NAMES),
    settings: z.record(z.string(), z.unknown()),
    endpoint: z.string().nullable().openapi({
      description: 'The origin that it goes to. Null: its URL is a secret that cannot be read any more.',
    }),
    secretNames: z
      .array(z.string())
      .openapi({ description: 'Which secrets there are; never what they are.' }),
    filter: filterBody,
    delivery: deliveryBody,
    paused: z.boolean(),
    revision: z.int(),
    live: z.boolean().openapi({ description: 'Whether the sink works by this revision already.' }),
    createdAt: time,
    updatedAt: time,
    health: healthSchema.nullable().openapi({ description: 'Null: not to be had now.' }),
  })
  .openapi('Sink')

export const replaySchema = z
  .object({
    id: z.string(),
    status: z.enum(['active', 'done', 'cancelled']),
    source: z.enum(['archive', 'quarantine']),
    since: time.nullable(),
    until: time.nullable(),
    filter: filterBody.nullable(),
    /** Share of the range's time, or of the items. */
    progress: z.number().openapi({ description: 'From 0 to 1.' }),
    delivered: z.object({ lines: z.int(), bytes: z.int() }),
    rejectedLines: z.int(),
    createdAt: time,
    finishedAt: time.nullable(),
  })
  .openapi('SinkReplay')

/** A sink with its health. */
export async function shownSink(c: OperatorContext, row: SinkRow) {
  const [status, endpoint] = await Promise.all([statusOf(c, row.id), originOfSink(c.env, row)])
  return { ...sinkView(row, status, c.var.nowMs), endpoint }
}

/** How a sink is; null where its object does not answer or has not heard of it yet. */
export async function statusOf(c: OperatorContext, id: string): Promise<SinkStatus | null> {
  try {
    return await new Deadline(STATUS_WITHIN_MS).run(c.env.SINK.getByName(id).status())
  } catch (error) {
    console.warn(JSON.stringify({ event: 'sink-status-unknown', sink: id, reason: reasonOf(error) }))
    return null
  }
}

function sinkView(row: SinkRow, status: SinkStatus | null, nowMs: number) {
  return {
    id: row.id,
    name: row.name,
    kind: row.kind,
    settings: JSON.parse(row.settings) as Record<string, unknown>,
    secretNames: JSON.parse(row.secretNames) as string[],
    filter: JSON.parse(row.filter) as unknown,
    delivery: JSON.parse(row.delivery) as unknown,
    paused: row.paused,
    revision: row.revision,
    live: status !== null && status.revision >= row.revision,
    createdAt: rfc3339(row.createdAtMs),
    updatedAt: rfc3339(row.updatedAtMs),
    health: status === null ? null : healthView(status, nowMs),
  }
}

function healthView({ paused, health, tracks, lag }: SinkStatus, nowMs: number) {
  const live = tracks.find(({ id }) => id === LIVE_TRACK)
  const { lastError, nextAttemptAtMs } = health
  return {
    state: stateOf(paused, health, lag?.objects ?? 0),
    lag:
      lag === null
        ? null
        : {
            lines: lag.lines,
            objects: lag.objects,
            seconds: lag.oldestMs === null ? 0 : Math.max(0, (nowMs - lag.oldestMs) / 1_000),
          },
    lastSuccessAt: rfc3339OrNull(health.lastSuccessAtMs),
    lastError: lastError === null ? null : { at: rfc3339(lastError.atMs), reason: lastError.reason },
    nextAttemptAt: nextAttemptAtMs > nowMs ? rfc3339(nextAttemptAtMs) : null,
    delivered: { lines: live?.delivered ?? 0, bytes: live?.bytes ?? 0 },
    rejectedLines: live?.rejected ?? 0,
    missed: { objects: health.missedObjects, lines: health.missedLines },
  }
}

function stateOf(
  paused: boolean,
  { failures, isToldToWait, lastError }: SinkStatus['health'],
  waitingObjects: number,
): (typeof STATES)[number] {
  if (paused) return 'paused'
  if (failures > 0 || isToldToWait) return lastError?.kind === 'refused' ? 'refused' : 'retrying'
  return waitingObjects > 0 ? 'behind' : 'ok'
}

/** A replay. */
export function replayView({ id, spec, place, status, ...track }: TrackView) {
  const range = spec.kind === 'replay' ? spec : null
  return {
    id,
    status,
    source: range === null ? 'quarantine' : 'archive',
    since: rfc3339OrNull(range?.sinceMs ?? null),
    until: rfc3339OrNull(range?.untilMs ?? null),
    filter: range?.filter ?? null,
    progress: status === 'done' ? 1 : progressOf(spec, Number(place[0])),
    delivered: { lines: track.delivered, bytes: track.bytes },
    rejectedLines: track.rejected,
    createdAt: rfc3339(track.createdAtMs),
    finishedAt: rfc3339OrNull(track.finishedAtMs),
  }
}

function progressOf(spec: TrackSpec, first: number): number {
  if (spec.kind === 'live') return 0
  if (spec.kind === 'quarantine') return first / spec.keys.length
  return Math.min(1, Math.max(0, (first - spec.sinceMs) / (spec.untilMs - spec.sinceMs)))
}
