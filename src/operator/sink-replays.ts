/** /environments/{env}/sinks/{id}/replay(s): what the archive had, sent again or for the first time. */

import { createRoute, z } from '@hono/zod-openapi'
import { commitChange } from '../db/control.ts'
import { sinkConfigOf } from '../db/sink-definitions.ts'
import type { SinkRow } from '../db/sinks.ts'
import { MAX_ACTIVE_REPLAYS } from '../logs/deliver/sink.ts'
import { LIVE_TRACK, type TrackView, type TrackSpec } from '../logs/deliver/track.ts'
import { environmentChangeNote } from './change-note.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { envParam, inEnvironmentWithId, jsonBody, replies, repliesNothing } from './describe.ts'
import { notFound, problem, unprocessable } from './problem.ts'
import { filterBody, filterOf } from './sink-bodies.ts'
import { replaySchema, replayView, statusOf } from './sink-view.ts'
import { SINKS_PATH, sinkOfPath } from './sink-path.ts'

const time = z.iso.datetime({ offset: true, error: 'is not a time of RFC 3339' })

const replayBody = z.strictObject({
  since: time,
  until: time.optional().openapi({ description: 'Without it: until now.' }),
  filter: filterBody.optional().openapi({ description: "Without it: the sink's own." }),
})
const inReplay = z.object({ env: envParam, id: z.string(), replay: z.string() })

export function addSinkReplayRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'post',
      path: `${SINKS_PATH}/{id}/replay`,
      description:
        'Sends the lines that were received in [since, until), beside those that come: at least once, under the same ' +
        'event ids, hour by hour.',
      request: { params: inEnvironmentWithId, body: jsonBody(replayBody) },
      responses: replies(202, 'Begun', replaySchema),
    }),
    async (c) => {
      const row = await sinkOfPath(c, c.req.valid('param').id)
      return row === null ? notFound('sink') : replay(c, row, c.req.valid('json'))
    },
  )
  routes.openapi(
    createRoute({
      method: 'get',
      path: `${SINKS_PATH}/{id}/replays`,
      request: { params: inEnvironmentWithId },
      responses: replies(
        200,
        'Those that run, and the last that are over',
        z.object({ items: z.array(replaySchema) }),
      ),
    }),
    async (c) => {
      const row = await sinkOfPath(c, c.req.valid('param').id)
      if (row === null) return notFound('sink')
      const replays = await replaysOf(c, row)
      return replays === null ? notAnswering() : c.json({ items: replays.map(replayView) })
    },
  )
  addOneReplayRoutes(routes)
}

function addOneReplayRoutes(routes: OperatorRoutes): void {
  const request = { params: inReplay }
  routes.openapi(
    createRoute({
      method: 'get',
      path: `${SINKS_PATH}/{id}/replays/{replay}`,
      request,
      responses: replies(200, 'The replay', replaySchema),
    }),
    async (c) => {
      const { id, replay } = c.req.valid('param')
      const row = await sinkOfPath(c, id)
      if (row === null) return notFound('sink')
      const replays = await replaysOf(c, row)
      if (replays === null) return notAnswering()
      const found = replays.find((track) => track.id === replay)
      return found === undefined ? notFound('replay') : c.json(replayView(found))
    },
  )
  routes.openapi(
    createRoute({
      method: 'delete',
      path: `${SINKS_PATH}/{id}/replays/{replay}`,
      request,
      responses: repliesNothing('It ends where it is'),
    }),
    async (c) => {
      const { id, replay } = c.req.valid('param')
      const row = await sinkOfPath(c, id)
      if (row === null) return notFound('sink')
      const isKnown = await c.env.SINK.getByName(id).cancelReplay(replay)
      if (!isKnown) return notFound('replay')
      await commitChange(c.var.db, environmentChangeNote(c, 'sink.replay.cancel', id, { replay }), 'none', [])
      return c.body(null, 204)
    },
  )
}

async function replay(c: OperatorContext, row: SinkRow, body: z.infer<typeof replayBody>): Promise<Response> {
  const sinceMs = Date.parse(body.since)
  const untilMs = body.until === undefined ? c.var.nowMs : Date.parse(body.until)
  if (untilMs <= sinceMs) return unprocessable({ pointer: '/until', detail: 'is not after since' })
  const filter = body.filter === undefined ? sinkConfigOf(row).filter : filterOf(body.filter)
  return beginReplay(c, row, { kind: 'replay', sinceMs, untilMs: Math.min(untilMs, c.var.nowMs), filter })
}

/** Begins one: its audit row first, because what was sent cannot be told of afterwards. */
export async function beginReplay(
  c: OperatorContext,
  row: SinkRow,
  spec: Exclude<TrackSpec, { kind: 'live' }>,
): Promise<Response> {
  const replayId = crypto.randomUUID()
  const detail =
    spec.kind === 'replay'
      ? { replay: replayId, since: spec.sinceMs, until: spec.untilMs, filter: spec.filter }
      : { replay: replayId, items: spec.keys.length }
  await commitChange(c.var.db, environmentChangeNote(c, 'sink.replay', row.id, detail), 'none', [])
  const sink = c.env.SINK.getByName(row.id)
  // A sink that was just made may not have heard of itself.
  await sink.configure(sinkConfigOf(row))
  if (!(await sink.replay(replayId, spec))) {
    return problem(409, `A sink has ${MAX_ACTIVE_REPLAYS} replays at once at most.`)
  }
  const begun = (await replaysOf(c, row))?.find(({ id }) => id === replayId)
  return begun === undefined ? notAnswering() : c.json(replayView(begun), 202)
}

/** Null where the sink does not answer. */
async function replaysOf(c: OperatorContext, { id }: SinkRow): Promise<TrackView[] | null> {
  const status = await statusOf(c, id)
  return status === null ? null : status.tracks.filter((track) => track.id !== LIVE_TRACK)
}

function notAnswering(): Response {
  return problem(503, 'The sink does not answer now.')
}
