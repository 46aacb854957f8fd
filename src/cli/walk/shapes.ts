/** What the admin route promises of its objects, as far as the walk relies on it. More members are allowed. */

import { z } from 'zod'

const time = z.iso.datetime()

export function page<Shape extends z.ZodType>(item: Shape) {
  return z.object({ items: z.array(item), nextCursor: z.string().nullable() })
}

export const health = z.strictObject({ ok: z.literal(true), version: z.string().min(1) })

export const node = z.object({
  id: z.string(),
  hostname: z.string(),
  platform: z.string(),
  osqueryVersion: z.string(),
  tags: z.array(z.string()),
  enrolledAt: time,
  lastSeenAt: time,
  online: z.boolean(),
})

export const logItem = z.object({
  eventId: z.string().min(1),
  nodeId: z.string(),
  hostname: z.string(),
  type: z.enum(['result', 'snapshot', 'status', 'query']),
  name: z.string(),
  receivedAt: time,
})
export type LogItem = z.infer<typeof logItem>

const counts = z.object({ targeted: z.int(), answered: z.int(), failed: z.int(), pending: z.int() })
export type Counts = z.infer<typeof counts>

export const query = z.object({
  id: z.string(),
  sql: z.string(),
  status: z.enum(['open', 'complete', 'stopped', 'expired']),
  createdAt: time,
  expiresAt: time,
  counts,
})
export type Query = z.infer<typeof query>

export const queryResult = z.object({
  nodeId: z.string(),
  hostname: z.string(),
  receivedAt: time,
  columns: z.record(z.string(), z.string()),
})

export const queryAnswer = z.object({
  nodeId: z.string(),
  hostname: z.string(),
  status: z.enum(['ok', 'failed']),
  message: z.string(),
  rowCount: z.int(),
  truncated: z.boolean(),
  stats: z.record(z.string(), z.unknown()),
})

export const carve = z.object({
  id: z.string(),
  nodeId: z.string(),
  carveId: z.string().nullable(),
  queryId: z.string().nullable(),
  path: z.string().nullable(),
  status: z.string(),
  blocksReceived: z.int(),
  blockCount: z.int().nullable(),
  bytes: z.int().nullable(),
  sha256: z.string().nullable(),
  fileName: z.string().nullable(),
})
export type Carve = z.infer<typeof carve>
