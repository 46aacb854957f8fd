/** What operators say of a sink, as schemas; the kind's own settings and secrets are described by the kind. */

import { z } from '@hono/zod-openapi'
import { LINE_TYPES } from '../logs/line.ts'
import {
  DEFAULT_DELIVERY,
  DEFAULT_FILTER,
  MAX_BYTES_IN_FLIGHT,
  SEVERITIES,
  type DeliveryOptions,
  type SinkFilter,
} from '../logs/deliver/sink-config.ts'
import { SINK_KINDS } from '../logs/sinks/kinds.ts'
import { SINK_KIND_NAMES } from '../logs/sinks/sink-kind.ts'
import { displayName } from './names.ts'

const MIB = 1_024 * 1_024
const MAX_PATTERNS = 100
const MAX_PATTERN_CHARACTERS = 1_024

function texts(what: string) {
  return z
    .array(z.string().min(1, 'is empty').max(MAX_PATTERN_CHARACTERS))
    .min(1, `names no ${what}: null is all`)
    .max(MAX_PATTERNS, `has more than ${MAX_PATTERNS}`)
    .nullable()
    .optional()
}

function whole(least: number, most: number) {
  return z.int().min(least, `is less than ${least}`).max(most, `is more than ${most}`)
}

export const filterBody = z
  .strictObject({
    types: z
      .array(z.enum(LINE_TYPES, `is none of ${LINE_TYPES.join(', ')}`))
      .min(1, 'names no type: null is all')
      .nullable()
      .optional(),
    queries: texts('query').openapi({
      description: 'Names of queries, `*` for any characters. A line of no query matches none.',
    }),
    tags: texts('tag').openapi({ description: 'The node has one of these.' }),
    minSeverity: z
      .enum(SEVERITIES, `is none of ${SEVERITIES.join(', ')}`)
      .nullable()
      .optional()
      .openapi({ description: 'Of status lines; other types have none.' }),
  })
  .openapi('SinkFilter', { description: 'All that is given must hold.' })

export const deliveryBody = z
  .strictObject({
    maxBytes: whole(1_024, 8 * MIB).optional(),
    maxLines: whole(1, 10_000).optional(),
    maxAgeSeconds: whole(0, 300)
      .optional()
      .openapi({ description: 'How long a batch may wait for more lines; 0: not at all.' }),
    concurrency: whole(1, 6).optional(),
    gzip: z.boolean().optional(),
    timeoutSeconds: whole(1, 120).optional(),
    linesPerSecond: whole(1, 1_000_000).nullable().optional(),
    bytesPerSecond: whole(1_024, 1_024 * MIB)
      .nullable()
      .optional(),
  })
  .openapi('SinkDelivery')

const members = {
  name: displayName,
  filter: filterBody.default({}),
  delivery: deliveryBody.default({}),
  paused: z.boolean().default(false),
}

const kindBodies = SINK_KINDS.map((kind) =>
  z.strictObject({
    kind: z.literal(kind.name),
    ...members,
    settings: kind.settings,
    // A kind that needs none takes {}; one that does names what is missing.
    secrets: z.preprocess((secrets) => secrets ?? {}, kind.secrets),
  }),
)

type KindBody = (typeof kindBodies)[number]

export const sinkBody = z.discriminatedUnion('kind', kindBodies as [KindBody, ...KindBody[]], {
  error: `is none of ${SINK_KIND_NAMES.join(', ')}`,
})

/** Members that are not there stay as they are; inside of an object too, and null takes a member of it away. */
export const sinkPatch = z.strictObject({
  name: displayName.optional(),
  settings: z.record(z.string(), z.unknown()).optional(),
  secrets: z.record(z.string(), z.unknown()).optional(),
  filter: filterBody.optional(),
  delivery: deliveryBody.optional(),
})

/** A filter with what was not said. */
export function filterOf(body: z.infer<typeof filterBody>, before: SinkFilter = DEFAULT_FILTER): SinkFilter {
  return {
    types: body.types === undefined ? before.types : body.types,
    queries: body.queries === undefined ? before.queries : body.queries,
    tags: body.tags === undefined ? before.tags : body.tags,
    minSeverity: body.minSeverity === undefined ? before.minSeverity : body.minSeverity,
  }
}

/** Options with what was not said; a text where they do not go together. */
export function deliveryOf(
  body: z.infer<typeof deliveryBody>,
  before: DeliveryOptions = DEFAULT_DELIVERY,
): DeliveryOptions | string {
  const said = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined))
  const options = { ...before, ...said } as DeliveryOptions
  if (options.maxBytes * options.concurrency <= MAX_BYTES_IN_FLIGHT) return options
  return `maxBytes times concurrency is more than ${MAX_BYTES_IN_FLIGHT} bytes`
}

/** An object with another's members; null takes one away (RFC 7396, one level deep). */
export function mergedObject(
  before: Readonly<Record<string, unknown>>,
  patch: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  return Object.fromEntries(Object.entries({ ...before, ...patch }).filter(([, value]) => value !== null))
}
