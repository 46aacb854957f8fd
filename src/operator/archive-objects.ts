/**
 * /environments/{env}/archive/objects: the archive as it lies in R2, for those who load it elsewhere or check it. Raw is
 * at-least-once: a line may be in several objects, each time with the same `eventId` (`…/logs` shows it once).
 */

import { createRoute, z } from '@hono/zod-openapi'
import { Deadline } from '../lib/deadline.ts'
import { rfc3339 } from '../lib/time.ts'
import type { IndexedRow } from '../logs/archive-object.ts'
import { LINE_TYPES } from '../logs/line.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { envParam, inEnvironment, replies, repliesList, time } from './describe.ts'
import { timeParameter } from './logs.ts'
import { cursorOf, pagingQuery } from './paging.ts'
import { notFound, problem } from './problem.ts'

const PATH = '/environments/{env}/archive/objects'
/** What does not answer in this time is an outage. */
const INDEX_WITHIN_MS = 10_000

/** Place of the last item, and the newest object there was when page one was read: new ones do not move the pages. */
const cursorKey = z.tuple([z.int(), z.int(), z.int()])

const objectSchema = z
  .object({
    sequence: z.int().openapi({ description: 'Grows with every object that is added' }),
    key: z.string().openapi({ description: 'In the bucket of the archive' }),
    type: z.enum(LINE_TYPES),
    hour: z.string().openapi({ description: 'yyyy-mm-ddThh, UTC, of the times received' }),
    bytes: z.int().openapi({ description: 'Compressed' }),
    lineBytes: z.int().openapi({ description: 'Inflated' }),
    lines: z.int(),
    firstReceivedAt: time,
    lastReceivedAt: time,
  })
  .openapi('ArchiveObject')

export function addArchiveObjectRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: PATH,
      request: {
        params: inEnvironment,
        query: z.object({
          type: z.enum(LINE_TYPES, `is none of ${LINE_TYPES.join(', ')}`).optional(),
          since: timeParameter,
          until: timeParameter,
          ...pagingQuery(cursorKey),
        }),
      },
      responses: repliesList(objectSchema),
    }),
    async (c) => {
      const { type, since, until, limit, cursor } = c.req.valid('query')
      const found = await new Deadline(INDEX_WITHIN_MS).run(
        indexOf(c).find({
          types: type === undefined ? LINE_TYPES : [type],
          sinceMs: since ?? 0,
          untilMs: until ?? Number.MAX_SAFE_INTEGER,
          nodeId: null,
          name: null,
          maxSequence: cursor?.[2] ?? null,
          after: cursor === null ? null : { lastMs: cursor[0], sequence: cursor[1] },
          limit,
        }),
      )
      const newest = cursor?.[2] ?? found.maxSequence
      const nextCursor =
        found.next === null ? null : cursorOf([found.next.lastMs, found.next.sequence, newest])
      return c.json({ items: found.rows.map(shownObject), nextCursor })
    },
  )
  routes.openapi(
    createRoute({
      method: 'get',
      path: `${PATH}/{sequence}`,
      request: { params: z.object({ env: envParam, sequence: z.string() }) },
      responses: replies(200, 'The object: gzipped NDJSON, one line an event', z.string()),
    }),
    async (c) => {
      const { sequence } = c.req.valid('param')
      if (!/^\d{1,15}$/.test(sequence)) return notFound('archive object')
      const row = await new Deadline(INDEX_WITHIN_MS).run(indexOf(c).object(Number(sequence)))
      return row === null ? notFound('archive object') : stream(c, row)
    },
  )
}

async function stream(c: OperatorContext, row: IndexedRow): Promise<Response> {
  const object = await new Deadline(INDEX_WITHIN_MS).run(c.env.ARCHIVE.get(row.key))
  if (object === null) return problem(404, 'The object is gone: erased, compacted or past its retention.')
  return new Response(object.body, {
    headers: {
      // Not a content-encoding: who asks gets the bytes that lie in R2.
      'content-type': 'application/gzip',
      'content-disposition': `attachment; filename="${row.hour}-${row.sequence}.ndjson.gz"`,
      'content-length': String(object.size),
      'x-content-type-options': 'nosniff',
    },
  })
}

function indexOf(c: OperatorContext) {
  return c.env.ARCHIVE_INDEX.getByName(c.var.environment.id)
}

function shownObject(row: IndexedRow) {
  const { sequence, key, type, hour, bytes, lineBytes, lines, firstMs, lastMs } = row
  return {
    sequence,
    key,
    type,
    hour,
    bytes,
    lineBytes,
    lines,
    firstReceivedAt: rfc3339(firstMs),
    lastReceivedAt: rfc3339(lastMs),
  }
}
