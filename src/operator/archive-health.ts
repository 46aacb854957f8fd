/** /environments/{env}/archive: how far the archive's work is - what waits, what failed, what the last inspection found. */

import { createRoute, z } from '@hono/zod-openapi'
import { commitChange } from '../db/control.ts'
import { Deadline } from '../lib/deadline.ts'
import { rfc3339OrNull } from '../lib/time.ts'
import { tryToWakeCompaction } from '../logs/compact/wake.ts'
import { environmentChangeNote } from './change-note.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironment, replies, time } from './describe.ts'

const PATH = '/environments/{env}/archive'
const INDEX_WITHIN_MS = 10_000

const inspectionSchema = z.object({
  startedAt: time.nullable(),
  finishedAt: time.nullable().openapi({ description: 'Null while it runs, and before the first' }),
  seen: z.int().openapi({ description: 'Objects in R2' }),
  orphans: z.int().openapi({ description: 'Of them, those that the index did not know' }),
  healed: z.int().openapi({ description: 'Of those, how many it knows now' }),
  missing: z.int().openapi({ description: 'Rows of the index whose object is not there' }),
})

const healthSchema = z
  .object({
    rawObjects: z.int().openapi({ description: 'Objects that wait for compaction' }),
    rawBytes: z.int().openapi({ description: 'Their bytes, compressed' }),
    oldestRawHour: z.string().nullable().openapi({ description: 'yyyy-mm-ddThh, UTC' }),
    compactedObjects: z.int(),
    replacedObjects: z
      .int()
      .openapi({ description: 'Compacted, and kept for an hour and until each sink has passed' }),
    missingObjects: z.int().openapi({ description: 'In the index but not in R2, or not readable' }),
    garbage: z.int().openapi({ description: 'Objects about to be deleted' }),
    lastRunAt: time.nullable(),
    lastSwapAt: time.nullable(),
    failures: z.int(),
    lastFailureAt: time.nullable(),
    lastFailure: z.string().nullable().openapi({ description: 'The kind of failure' }),
    inspection: inspectionSchema.openapi({
      description: 'The last comparison of R2 with the index: once a week',
    }),
  })
  .openapi('ArchiveHealth')

export function addArchiveHealthRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: PATH,
      request: { params: inEnvironment },
      responses: replies(200, 'How it is', healthSchema),
    }),
    async (c) => c.json(await healthOf(c)),
  )
  routes.openapi(
    createRoute({
      method: 'post',
      path: `${PATH}/inspection`,
      request: { params: inEnvironment },
      responses: replies(202, 'An inspection begins, unless one is under way', healthSchema),
    }),
    async (c) => {
      const { db, environment } = c.var
      await commitChange(db, environmentChangeNote(c, 'archive.inspect', environment.id), 'none', [])
      await new Deadline(INDEX_WITHIN_MS).run(indexOf(c).inspect())
      await tryToWakeCompaction(c.env, environment.id)
      return c.json(await healthOf(c), 202)
    },
  )
}

function indexOf(c: OperatorContext) {
  return c.env.ARCHIVE_INDEX.getByName(c.var.environment.id)
}

async function healthOf(c: OperatorContext): Promise<z.infer<typeof healthSchema>> {
  const { compaction, inspection } = await new Deadline(INDEX_WITHIN_MS).run(indexOf(c).health())
  const { lastStartedMs, lastSwapMs, lastFailedMs, topSequence: _, ...figures } = compaction
  const { startedMs, finishedMs, ...counts } = inspection
  return {
    ...figures,
    lastRunAt: rfc3339OrNull(lastStartedMs),
    lastSwapAt: rfc3339OrNull(lastSwapMs),
    lastFailureAt: rfc3339OrNull(lastFailedMs),
    inspection: { ...counts, startedAt: rfc3339OrNull(startedMs), finishedAt: rfc3339OrNull(finishedMs) },
  }
}
