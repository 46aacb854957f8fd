/** What replies say of costs: schemas, and how figures become them. */

import { z } from '@hono/zod-openapi'
import { figuresOf, overBudget, RATINGS } from '../costs/figures.ts'
import type { VersionSummary } from '../costs/kinds.ts'
import type { CostBudget } from '../costs/rules.ts'
import type { PausedQueryRow } from '../db/paused-queries.ts'
import { rfc3339 } from '../lib/time.ts'
import { time } from './describe.ts'

const spread = z.object({ p50: z.number(), p95: z.number(), max: z.number() })
const figuresSchema = {
  executions: z.int().openapi({ description: 'In the days that are asked for' }),
  perExecution: z
    .object({ cpuMs: spread, wallMs: spread, memoryBytes: spread, outputBytes: spread })
    .nullable()
    .openapi({ description: 'cpuMs: user and system time. null: it has not run' }),
  perNodeAndDay: z
    .object({
      executions: z.number(),
      userMs: z.number(),
      systemMs: z.number(),
      wallMs: z.number(),
      outputBytes: z.number(),
    })
    .nullable()
    .openapi({ description: 'On the average' }),
  rating: z
    .enum(RATINGS)
    .openapi({ description: 'By the median cpuMs: minimal < 2000, considerable < 4000, excessive' }),
}
export const pausedSchema = z.object({ at: time, by: z.string(), reason: z.string() }).nullable()

/** What a version is, and what it costs. */
export const versionSchema = z.object({
  version: z.string().openapi({ description: 'Hash of its SQL, @, interval in seconds' }),
  intervalS: z.int(),
  nodes: z.int().openapi({ description: 'That schedule it, by what they last reported' }),
  denylistedNodes: z.int(),
  lastReportedAt: time.openapi({ description: 'To some hours' }),
  ...figuresSchema,
  overBudget: z.array(z.string()),
})

/** A query: the version that most nodes have, and what is true of all its versions. */
export const queryCostSchema = z
  .object({
    query: z.string().openapi({ description: 'Its name in log lines' }),
    nodes: z.int(),
    denylistedNodes: z.int(),
    errors: z.int().openapi({ description: 'Failed executions that agents told of' }),
    versions: z.int(),
    prevailing: versionSchema.nullable(),
    paused: pausedSchema,
  })
  .openapi('QueryCost')

export function versionView(version: VersionSummary, budget: CostBudget | null) {
  const figures = figuresOf(version.tally)
  return {
    version: version.hash,
    intervalS: version.intervalS,
    nodes: version.nodes,
    denylistedNodes: version.denied,
    lastReportedAt: rfc3339(version.seenS * 1_000),
    ...figures,
    overBudget: budget === null ? [] : overBudget(figures, budget),
  }
}

/** All versions are of one name, the one that most nodes have first. */
export function queryCostView(
  query: string,
  all: readonly VersionSummary[],
  budget: CostBudget | null,
  paused: PausedQueryRow | undefined,
) {
  const versions = all.filter(isVersion)
  const [first] = versions
  return {
    query,
    nodes: sumOf(all, ({ nodes }) => nodes),
    denylistedNodes: sumOf(all, ({ denied }) => denied),
    errors: sumOf(all, ({ tally }) => tally.errors),
    versions: versions.length,
    prevailing: first === undefined ? null : versionView(first, budget),
    paused: pausedView(paused),
  }
}

export function pausedView(row: PausedQueryRow | undefined) {
  return row === undefined ? null : { at: rfc3339(row.pausedAtMs), by: row.pausedBy, reason: row.reason }
}

/** Errors are kept under the name alone, and agents that were killed before they reported. */
export function isVersion({ hash }: VersionSummary): boolean {
  return hash !== ''
}

function sumOf(versions: readonly VersionSummary[], valueOf: (version: VersionSummary) => number): number {
  return versions.reduce((sum, version) => sum + valueOf(version), 0)
}
