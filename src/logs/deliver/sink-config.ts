/** A sink as its object knows it: what operators set. Types and pure functions only. */

import type { LineType } from '../line.ts'
import type { Json, SinkKind } from '../sinks/sink-kind.ts'

export const SEVERITIES = ['info', 'warning', 'error', 'fatal'] as const
export type Severity = (typeof SEVERITIES)[number]

/** Which lines a sink wants: all that is not null must hold. */
export interface SinkFilter {
  types: readonly LineType[] | null
  /** Names of queries, with `*` for any characters. A line of no query matches none. */
  queries: readonly string[] | null
  /** The node has one of these. */
  tags: readonly string[] | null
  /** Of status lines; other types have none. */
  minSeverity: Severity | null
}

/** How lines go out. */
export interface DeliveryOptions {
  /** A batch is sent when it has as much, or as many lines, or when its oldest line has waited as long. */
  maxBytes: number
  maxLines: number
  maxAgeSeconds: number
  /** Batches on their way at once. */
  concurrency: number
  gzip: boolean
  /** For one request, its reply included. */
  timeoutSeconds: number
  /** Caps; null: as fast as the destination takes it. */
  linesPerSecond: number | null
  bytesPerSecond: number | null
}

export const DEFAULT_FILTER: SinkFilter = { types: null, queries: null, tags: null, minSeverity: null }

const MIB = 1_024 * 1_024

export const DEFAULT_DELIVERY: DeliveryOptions = {
  maxBytes: MIB,
  maxLines: 1_000,
  maxAgeSeconds: 0,
  concurrency: 1,
  gzip: true,
  timeoutSeconds: 30,
  linesPerSecond: null,
  bytesPerSecond: null,
}

/** What all batches on their way may have together: an isolate has 128 MB, shared by several sinks. */
export const MAX_BYTES_IN_FLIGHT = 16 * MIB

const CONFIG_FORMAT = 1

export interface SinkConfig {
  format: typeof CONFIG_FORMAT
  id: string
  environmentId: string
  name: string
  kind: string
  settings: Json
  sealedSecrets: string
  filter: SinkFilter
  delivery: DeliveryOptions
  paused: boolean
  /** Raised by every change. */
  revision: number
}

/** What a batch may have: what the operator set, what the protocol takes, what the rate gives in a second. */
export function batchLimits(
  { maxBytes, maxLines, linesPerSecond, bytesPerSecond }: DeliveryOptions,
  { limits }: Pick<SinkKind, 'limits'>,
): { maxBytes: number; maxLines: number } {
  return {
    maxBytes: Math.min(maxBytes, limits.maxBatchBytes, bytesPerSecond ?? Number.POSITIVE_INFINITY),
    maxLines: Math.min(maxLines, limits.maxBatchLines, linesPerSecond ?? Number.POSITIVE_INFINITY),
  }
}
