/** What `npm run query` reads of the admin route. */

import { z } from 'zod'

const counts = z.object({
  targeted: z.number(),
  offered: z.number(),
  answered: z.number(),
  failed: z.number(),
  denylisted: z.number(),
  notApplicable: z.number(),
  expired: z.number(),
  pending: z.number(),
})
const metric = z.object({ p50: z.number(), p95: z.number() }).nullable()

export type Counts = z.infer<typeof counts>

export const queryShape = z.object({ id: z.string(), counts })

export const problemShape = z.object({
  detail: z.string(),
  errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).default([]),
})

const cursor = z.string().optional()

/** A line of the stream. Kinds that are newer than this command are passed over. */
export const lineShape = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('progress'),
    counts,
    cost: z.record(z.string(), metric),
    missing: z.object({ shards: z.array(z.number()), of: z.number() }).optional(),
    cursor,
  }),
  z.object({
    type: z.literal('row'),
    nodeId: z.string(),
    hostname: z.string().nullable(),
    row: z.number(),
    columns: z.record(z.string(), z.unknown()),
    cursor,
  }),
  z.object({ type: z.literal('error'), message: z.string(), nodes: z.number() }),
  z.object({ type: z.literal('end'), status: z.string(), counts: counts.optional(), cursor }),
])

export type StreamLine = z.infer<typeof lineShape>
export type ProgressLine = Extract<StreamLine, { type: 'progress' }>
