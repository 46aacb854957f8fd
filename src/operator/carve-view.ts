/** A carve as operators see it: its row in D1, and live numbers from its session while it is coming in. */

import { z } from '@hono/zod-openapi'
import { carveSessionStub, carveTagOf } from '../carves/claim.ts'
import type { CarveProgress } from '../carves/carve-session.ts'
import { findCarve, type CarveRow, type CarveWithQuery } from '../db/carves.ts'
import { carveStatus } from '../fleet/carve-request.ts'
import { Deadline } from '../lib/deadline.ts'
import { rfc3339 } from '../lib/time.ts'
import type { OperatorContext } from './context.ts'
import { time } from './describe.ts'
import { reasonOf } from './failure.ts'
import { notFound } from './problem.ts'

/** A session that does not say how far it is in this time: D1's numbers are at most some seconds older. */
const PROGRESS_WITHIN_MS = 2_000

export const carveSchema = z
  .object({
    id: z.string(),
    nodeId: z.string(),
    carveId: z.string().nullable(),
    queryId: z.string().nullable().openapi({ description: 'Null: no operator asked for it' }),
    path: z.string().nullable(),
    status: z.enum(['requested', 'scheduled', 'receiving', 'complete', 'failed', 'expired']),
    message: z.string().nullable(),
    blocksReceived: z.int(),
    blockCount: z.int().nullable(),
    bytes: z.int().nullable().openapi({ description: 'As the agent announced it' }),
    sha256: z.string().nullable(),
    fileName: z.string().nullable(),
    createdAt: time,
    updatedAt: time,
  })
  .openapi('Carve')

/** The carve that the path names inside its environment, or the 404. */
export async function carveOfPath(c: OperatorContext, id: string): Promise<CarveWithQuery | Response> {
  return (await findCarve(c.var.db, c.var.environment.id, id)) ?? notFound('carve')
}

export function shownCarve(row: CarveWithQuery, nowMs: number) {
  return {
    id: row.id,
    nodeId: row.nodeId,
    carveId: row.carveId,
    queryId: row.queryId,
    path: row.path,
    ...carveStatus(row, nowMs),
    blocksReceived: row.blocksReceived,
    blockCount: row.blockCount,
    bytes: row.bytes,
    sha256: row.sha256,
    fileName: row.fileName,
    createdAt: rfc3339(row.createdAtMs),
    updatedAt: rfc3339(row.updatedAtMs),
  }
}

/** One carve with its session's numbers, where D1 does not have the last word yet. */
export async function shownCarveNow(c: OperatorContext, row: CarveWithQuery) {
  const shown = shownCarve(row, c.var.nowMs)
  const progress = row.status === 'complete' ? null : await progressOf(c, row)
  // A complete archive can be fetched only when D1 knows of it.
  if (progress === null || progress.status !== 'receiving') return shown
  const { blocksReceived, blockCount, bytes } = progress
  return { ...shown, status: 'receiving' as const, message: null, blocksReceived, blockCount, bytes }
}

async function progressOf(c: OperatorContext, row: CarveRow): Promise<CarveProgress | null> {
  const session = await sessionOf(c, row)
  if (session === null) return null
  try {
    return await new Deadline(PROGRESS_WITHIN_MS).run(session.progress())
  } catch (error) {
    console.warn(JSON.stringify({ event: 'carve-progress-unknown', reason: reasonOf(error) }))
    return null
  }
}

/** The session object of a carve; null where no upload can be known yet. */
export async function sessionOf(c: OperatorContext, row: CarveRow) {
  if (row.carveId === null) return null
  const { environmentId, nodeId } = row
  return carveSessionStub(c.env, { environmentId, nodeId, carveTag: await carveTagOf(row.carveId) })
}
